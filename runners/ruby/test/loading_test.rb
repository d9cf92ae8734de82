# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class LoadingTest < Minitest::Test
  CONFIG = %(def config = {type: "event", name: "A", subscribes: ["t"]}\n)

  def test_asking_for_parsing_with_plain_schemas_alone_is_a_warning
    config = '{type: "event", name: "A", subscribes: ["a"], input: SCHEMA, validate: "parse"}'
    plain = "SCHEMA = {id: 'string'}\n"
    object = "SCHEMA = Class.new { def json_schema = {}; def call(value) = value }.new\n"
    {plain => 1, object => 0}.each do |schema, warnings|
      source = "#{schema}def config = #{config}\ndef handler(input) = input\n"
      Child.with({"a.step.rb" => source}) do |child|
        given = child.load("a.step.rb")["warnings"]
        assert_equal warnings, given.size
        given.each { |warning| assert_includes warning, "no effect" }
      end
    end
  end

  def test_a_config_is_a_method_a_constant_or_something_to_call
    forms = {
      "method" => %(def config\n  {type: "event", name: "A"}\nend),
      "private" => %(private def config = {"type" => "event", "name" => "A"}),
      "constant" => %(CONFIG = {type: :event, name: "A"}.freeze),
      "lambda" => %(CONFIG = -> { {type: "event", name: "A"} }),
      "returned" => %(def config = -> { {type: "event", name: "A"} }),
      "struct" => %(Settings = Struct.new(:type, :name)\ndef config = Settings.new("event", "A"))
    }
    Project.with(forms.to_h { |name, source| ["steps/#{name}.step.rb", source] }) do |project|
      child = Child.new(project)
      forms.each_key do |name|
        answer = child.load("steps/#{name}.step.rb")
        assert_equal({"type" => "event", "name" => "A"}, child.decode(answer["config"]), name)
        assert_equal [[], [project.path("steps/#{name}.step.rb")]], answer.values_at("exports", "watch")
      end
      child.close
    end
  end

  def test_a_handler_is_a_method_or_a_constant
    files = {
      "a.step.rb" => "#{CONFIG}def handler(input, context) = :method",
      "b.step.rb" => "#{CONFIG}HANDLER = ->(input, context) { :constant }"
    }
    Child.with(files) do |child|
      assert_equal %w[method constant], [child.value("a"), child.value("b")]
      assert_equal ["handler"], child.load("b.step.rb", revision: 2)["exports"]
    end
  end

  def test_functions_in_a_config_become_exports
    files = {"board.stream.rb" => <<~RUBY}
      def config
        {name: "board", schema: {text: "string"}, can_access: ->(subscription, auth) { auth.role == "reader" }}
      end
    RUBY
    Child.with(files) do |child|
      answer = child.load("board.stream.rb")
      assert_equal ["canAccess"], answer["exports"]
      assert_equal({"name" => "board", "schema" => {"text" => "string"}}, child.decode(answer["config"]))
      %w[reader stranger].zip([true, false]) do |role, allowed|
        input = json({subscription: {streamName: "board", groupId: "g"}, auth: {role: role}})
        answer = child.ask("authorize", {"step" => "board", "kind" => "canAccess", "input" => input})
        assert_equal allowed, child.decode(answer)
      end
      failed = child.ask("authorize", {"step" => "board", "kind" => "canAccess", "input" => json({auth: nil})})
      assert_equal ["handler_failed", "NoMethodError"], failed.values_at("code", "type")
      missing = child.ask("authorize", {"step" => "board", "kind" => "streamAuth", "input" => json({})})
      assert_equal "MissingHandler", missing["type"]
    end
  end

  def test_an_object_that_knows_its_json_schema_gives_it
    files = {"a.step.rb" => <<~RUBY}
      Good = Class.new { def self.json_schema = {type: "object"} }
      Bad = Class.new { def self.json_schema = raise("no way") }
      def config = {type: "api", name: "A", bodySchema: Good, responseSchema: {200 => Bad}}
    RUBY
    Child.with(files) do |child|
      answer = child.load("a.step.rb")
      config = child.decode(answer["config"])
      schemas = {"bodySchema" => {"type" => "object"}, "responseSchema" => {"200" => nil}}
      assert_equal schemas, config.except("type", "name")
      assert_equal ["responseSchema.200 is not checked: its json_schema failed: no way"], answer["warnings"]
    end
  end

  def test_steps_are_separate_worlds
    step = ->(name) { <<~RUBY }
      LIMIT = "limit of #{name}"
      class Helper
        def self.name_of_step = "#{name}"
      end
      #{CONFIG}
      def handler(input, context) = [LIMIT, Helper.name_of_step, helper, @kept = (@kept || 0) + 1]

      private

      def helper = "helper of #{name}"
    RUBY
    Child.with({"a.step.rb" => step["a"], "b.step.rb" => step["b"]}) do |child|
      %w[a b a].each { |name| assert_equal ["limit of #{name}", name, "helper of #{name}", 1], child.value(name) }
    end
  end

  def test_a_file_may_be_written_in_any_style
    files = {"a.step.rb" => <<~RUBY}
      # frozen_string_literal: true
      require "json"

      module Shout
        refine(String) { def shout = upcase + "!" }
      end
      using Shout

      def topics = ["t"].freeze
      TOPICS = topics
      CONFIG = {type: "event", name: "A", subscribes: TOPICS}

      def self.single = "on self"
      define_method(:made) { "made" }
      attr_reader :nothing

      def handler(input, context)
        @seen = "own"
        [helper, other, single, made, nothing, @seen, "a".shout, "lit".frozen?, Logger.to_s, __FILE__, __dir__]
      end

      private

      def helper = "bare private"

      public

      private def other = "private def"

      return if true
      raise "never"
    RUBY
    Child.with(files) do |child, project|
      seen = ["bare private", "private def", "on self", "made", nil, "own", "A!", true, "Logger"]
      assert_equal [*seen, project.path("a.step.rb"), project.root], child.value("a")
      config = child.decode(child.load("a.step.rb", revision: 2)["config"])
      assert_equal({"type" => "event", "name" => "A", "subscribes" => ["t"]}, config)
    end
  end

  def test_the_library_needs_no_require
    files = {"a.step.rb" => step(<<~RUBY)}
      [
        SecureRandom.uuid.size, CSV.generate { |csv| csv << [1, 2] }, JSON.parse("[1]"), ERB.new("<%= 1 %>").result,
        Date.new(2024, 1, 2).to_s, Digest::SHA256.hexdigest("").size, Set[1].size, URI.parse("http://a/b").path,
        Time.at(0).utc.iso8601, YAML.load("a: 1"), Base64.strict_encode64("a"), OpenStruct.new(a: 1).a, Net::HTTP.name,
        StringIO.new.size
      ]
    RUBY
    Child.with(files) do |child|
      assert_equal [
        36, "1,2\n", [1], "1", "2024-01-02", 64, 1, "/b", "1970-01-01T00:00:00Z", {"a" => 1}, "YQ==", 1, "Net::HTTP", 0
      ], child.value("a")
    end
  end

  def test_helpers_are_required_and_watched
    files = {
      "steps/a.step.rb" => "require_relative '../lib/a'\nrequire 'services/shop'\n#{step("[A, Shop.name]")}",
      "steps/b.step.rb" => "require_relative '../lib/a'\n#{CONFIG}",
      "lib/a.rb" => "require_relative 'deep/b'\nA = B + 1",
      "lib/deep/b.rb" => "B = 1",
      "services/shop.rb" => "module Shop; end"
    }
    Child.with(files) do |child, project|
      assert_equal [2, "Shop"], child.value("a")
      watched = lambda do |step|
        child.load("steps/#{step}.step.rb", revision: 2)["watch"].map { |path| path.delete_prefix("#{project.root}/") }
      end
      assert_equal %w[lib/a.rb lib/deep/b.rb services/shop.rb steps/a.step.rb], watched["a"]
      assert_equal %w[lib/a.rb lib/deep/b.rb steps/b.step.rb], watched["b"]
    end
  end

  def test_a_file_that_cannot_load_is_refused_with_its_place
    cases = {
      "def config = {}\n\n\ndef handler(\n" => ["SyntaxError", nil, 4..5],
      "#{CONFIG}raise ArgumentError, 'no luck'" => ["ArgumentError", "no luck", 2..2],
      "#{CONFIG}require 'nothing_like_it'" => ["LoadError", "nothing_like_it", 2..2],
      "def config\n  missing_thing\nend" => ["NameError", "missing_thing", 2..2],
      "def handler(a, b) = nil" => ["LoadFailed", "config", nil],
      "CONFIG = 5" => ["LoadFailed", "config must be a hash, but it is a Integer", nil],
      "#{CONFIG}exit 3" => ["LoadFailed", "the file called exit while it was loaded", 2..2],
      "def config = config" => ["SystemStackError", "stack", 1..1],
      "def config = {a: $stdin.dup.tap(&:itself)}" => ["StepweaveError", '"a"', nil],
      "\n\xff = 1" => ["SyntaxError", nil, 2..2]
    }
    Project.with({}) do |project|
      child = Child.new(project)
      cases.each do |source, (type, text, lines)|
        project.write("a.step.rb", source)
        error = child.load("a.step.rb")
        assert_equal ["load_failed", type], error.values_at("code", "type"), source
        assert_includes error["message"], text if text
        assert_equal project.path("a.step.rb"), error["data"]["file"], source
        lines ? assert_includes(lines, error["data"]["line"], source) : assert_nil(error["data"]["line"], source)
      end
      missing = child.load("none.step.rb")
      assert_equal ["load_failed", {"file" => project.path("none.step.rb")}], missing.values_at("code", "data")
      project.write("a.step.rb", CONFIG)
      assert_equal [], child.load("a.step.rb")["exports"]
      child.close
    end
  end

  def test_a_syntax_error_in_a_helper_names_the_helper
    files = {"lib/a.rb" => "\ndef broken(\n", "a.step.rb" => ""}
    Project.with(files) do |project|
      project.write("a.step.rb", "#{CONFIG}require_relative 'lib/a'")
      child = Child.new(project)
      assert_equal project.path("lib/a.rb"), child.load("a.step.rb")["data"]["file"]
      child.close
    end
  end

  def test_what_printing_while_loading_says_arrives_on_stderr
    Child.with({"a.step.rb" => "puts 'loading'\n#{CONFIG}"}) do |child|
      assert_includes child.stderr, "loading"
      assert_empty child.logs
    end
  end
end
