# frozen_string_literal: true

require_relative "support/helper"

class GemsTest < Minitest::Test
  STEP = "def config = {}\ndef handler(input, context) = defined?(Bundler) && Bundler.default_gemfile.to_s"

  # Bundler hides the msgpack gem, which is not in this Gemfile, and the runner goes on without.
  def test_the_projects_gemfile_decides
    Child.with({"Gemfile" => "", "a.step.rb" => STEP}) do |child, project|
      assert_equal "pure", child.info["runner"]["msgpack"]
      assert_equal project.path("Gemfile"), child.value("a")
    end
  end

  def test_a_gemfile_that_cannot_be_used_is_each_steps_to_fail_with
    Child.with({"Gemfile" => "gem 'nothing-like-it'", "a.step.rb" => STEP}) do |child, project|
      error = child.load("a.step.rb")
      assert_equal "load_failed", error["code"]
      assert_match(/\A#{project.path("Gemfile")}: .*nothing-like-it.*; run: bundle install\z/, error["message"])
      assert_equal project.path("Gemfile"), error["data"]["file"]
    end
  end

  def test_a_gemfile_that_is_broken_is_told
    Child.with({"Gemfile" => "gem 'a\n", "a.step.rb" => STEP}) do |child|
      assert_match(/Gemfile: .*error parsing.*; run: bundle install/, child.load("a.step.rb")["message"])
    end
  end
end
