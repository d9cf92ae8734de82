# frozen_string_literal: true

require_relative "support/helper"

class CrewTest < Minitest::Test
  include StepweaveRunner

  def test_any_number_of_jobs_can_block_at_once
    gate = Thread::Queue.new
    done = Thread::Queue.new
    started = Thread::Queue.new
    crew = crew_of do |job|
      started << job
      gate.pop
      done << job
    end
    40.times { |job| crew.add(job) }
    assert_equal (0...40).to_a, Array.new(40) { started.pop }.sort
    40.times { gate << true }
    assert_equal (0...40).to_a, Array.new(40) { done.pop }.sort
  end

  def test_quick_jobs_share_a_thread
    threads = {}
    done = Thread::Queue.new
    crew = crew_of do |job|
      threads[Thread.current] = true
      done << job
    end
    500.times { |job| crew.add(job) }
    assert_equal (0...500).to_a, Array.new(500) { done.pop }.sort
    assert_operator threads.size, :<, 10
  end

  def test_threads_are_used_again
    threads = {}
    done = Thread::Queue.new
    crew = crew_of do |_job|
      threads[Thread.current] = true
      done << true
    end
    100.times do
      crew.add(1)
      done.pop
    end
    assert_operator threads.size, :<, 10
  end

  def test_a_thread_that_ends_is_replaced
    done = Thread::Queue.new
    crew = crew_of do |job|
      Thread.current.kill if job == :end
      done << job
    end
    3.times do |job|
      crew.add(:end)
      crew.add(job)
      assert_equal job, done.pop
    end
  end

  def test_a_thread_that_takes_over_tells_so
    relieved = Thread::Queue.new
    gate = Thread::Queue.new
    crew = Crew.new(->(_job) { gate.pop }, -> { relieved << true })
    2.times do
      crew.add(1)
      assert relieved.pop
    end
    2.times { gate << true }
  end

  def test_answers_reach_those_who_wait
    crew = crew_of { flunk }
    answers = Array.new(60) { Crew::Answer.new }
    threads = answers.map { |answer| Thread.new { crew.await(answer) } }
    answers.each_with_index.to_a.reverse_each { |answer, index| crew.resume(answer, index) }
    assert_equal (0...60).to_a, threads.map(&:value)
    refute_predicate crew, :waiting?
  end

  def test_a_thread_that_comes_for_nothing_calls_up_who_waits
    asked = Thread::Queue.new
    done = Thread::Queue.new
    crew = crew_of do |answer|
      unless answer.nil?
        asked << answer
        crew.await(answer)
      end
      done << true
    end
    2_000.times do
      # The thread at work takes both before the one that was called for the second is there.
      crew.add(nil)
      crew.add(Crew::Answer.new)
      crew.resume(asked.pop, 1)
      2.times { assert done.pop }
    end
  end

  def test_an_answer_may_come_before_anybody_waits
    crew = crew_of { flunk }
    answer = Crew::Answer.new
    crew.resume(answer, nil)
    assert_nil crew.await(answer)
  end

  def test_who_stops_waiting_holds_nobody_up
    crew = crew_of { |answer| crew.resume(answer, :served) }
    50.times do |number|
      lost, found = Crew::Answer.new, Crew::Answer.new
      stopped = waiting(crew, lost)
      other = waiting(crew, found)
      # Before, while and after it is its turn.
      crew.resume(lost, 1) if number % 3 == 1
      number.even? ? stopped.kill : stopped.raise(Interrupt)
      crew.resume(lost, 2) if number % 3 == 2
      crew.add(found)
      assert_equal :served, other.value
      stopped.join
    end
    refute_predicate crew, :waiting?
  end

  def test_a_thread_owes_nothing_to_the_one_that_called_it_up
    seen = Thread::Queue.new
    crew = crew_of do |_job|
      seen << Thread.current
      sleep
    rescue Interrupt
      seen << :interrupted
    end
    answer = Crew::Answer.new
    parent = waiting(crew, answer) { seen << :parent }
    ThreadGroup.new.add(parent)
    # While the answer is on its way nobody else is called, so its thread calls up the one for the job.
    crew.resume(answer, 1)
    crew.add(1)
    worker = [seen.pop, seen.pop].find { |item| item.is_a?(Thread) }
    assert_same ThreadGroup::Default, worker.group
    eventually { worker.stop? }
    worker.raise(Interrupt)
    assert_equal :interrupted, seen.pop
  end

  def test_others_share_the_turns_that_a_computing_thread_leaves
    crew = crew_of { flunk }
    answers = Array.new(30) { Crew::Answer.new }
    served = enough = false
    threads = answers.map { |answer| waiting(crew, answer) { served = true } }
    computing = Thread.new do
      turns = 0
      until enough
        turns += 1 if served
        served = false
      end
      turns
    end
    answers.each { |answer| crew.resume(answer, 1) }
    threads.each(&:join)
    enough = true
    # One after the other they would wait for a turn each; how many share one is the system's affair.
    assert_operator computing.value, :<, 20
  end

  private

  # A thread that waits for the answer already.
  def waiting(crew, answer)
    thread = Thread.new do
      value = Thread.handle_interrupt(Peer::UNINTERRUPTED) { crew.await(answer) }
      yield if block_given?
      value
    rescue Interrupt
      nil
    end
    eventually { thread.stop? }
    thread
  end

  def crew_of(&perform) = Crew.new(perform, -> {})
end
