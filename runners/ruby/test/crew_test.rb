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

  def test_it_tells_when_a_thread_runs_dry
    relieved = Thread::Queue.new
    crew = Crew.new(->(_job) {}, -> { relieved << true })
    crew.add(1)
    assert relieved.pop
  end

  private

  def crew_of(&perform) = Crew.new(perform, -> {})
end
