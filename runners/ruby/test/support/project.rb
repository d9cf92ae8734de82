# frozen_string_literal: true

require "fileutils"

# A step file whose handler has this body, beginning in line 3.
def step(body)
  "def config = {type: \"event\", name: \"A\"}\ndef handler(input, context)\n#{body.gsub(/^/, "  ")}\nend\n"
end

# The same for an API step.
def api_step(body) = step(body).sub("event", "api")

# A user's project in a temporary folder, from a table of paths and contents.
class Project
  attr_reader :root

  def self.with(files)
    Dir.mktmpdir("stepweave") { |folder| yield new(File.realpath(folder), files) }
  end

  def initialize(root, files)
    @root = root
    files.each { |path, content| write(path, content) }
  end

  def path(name) = File.join(@root, name)

  def write(name, content)
    FileUtils.mkdir_p(File.dirname(path(name)))
    File.write(path(name), content)
  end
end
