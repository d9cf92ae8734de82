# frozen_string_literal: true

# A scope that remembers what is asked, and answers as told.
class FakeScope
  attr_reader :calls, :records
  attr_accessor :answers

  def initialize(answers = {})
    @answers = answers
    @calls = []
    @records = []
  end

  def call(method, params)
    @calls << [method, params]
    answer = @answers[method]
    raise answer if answer.is_a?(Exception)

    answer
  end

  def log(level, message, fields = nil, source = nil) = @records << [level, message, fields, source].compact

  def started = StepweaveRunner::Deadline.now

  def cancelled? = false

  def cancel_reason = nil
end

def json(value) = ["json", JSON.generate(value).b]
