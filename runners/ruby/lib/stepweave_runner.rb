# frozen_string_literal: true

# The Ruby runner: loads step files and runs their handlers for a Stepweave orchestrator.
# To be read in this order: console, connection, peer, host, loader, context.

require_relative "stepweave_runner/version"
require_relative "stepweave_runner/console"
require_relative "stepweave_runner/connection"
require_relative "stepweave_runner/peer"
require_relative "stepweave_runner/host"
