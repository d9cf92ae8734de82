# frozen_string_literal: true

module StepweaveRunner
  VERSION = "0.1.0"
end
