# frozen_string_literal: true

module StepweaveRunner; end

# Runs source text inside a module: (module, source, path, line). Stands outside of the runner's own
# module on purpose, as does its odd argument: text that is evaluated sees the constants and variables
# of the place that evaluates it, and a step's Logger is not the runner's.
StepweaveRunner::EVALUATE = ->(*__given) { __given.shift.module_eval(*__given) }
