# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class ReloadingTest < Minitest::Test
  STEP = "require_relative 'lib/greeting'\n#{step("[GREETING, 1]")}"
  FILES = {"a.step.rb" => STEP, "b.step.rb" => step("'b'"), "lib/greeting.rb" => "GREETING = 'hello'"}.freeze

  def test_an_edit_gives_a_new_revision_beside_the_old
    Child.with(FILES) do |child, project|
      project.write("a.step.rb", STEP.sub("1]", "2]"))
      assert_equal({"steps" => ["a"], "restart" => false}, changed(child, project, "a.step.rb"))
      child.load("a.step.rb", revision: 2)
      assert_equal [["hello", 2], ["hello", 1]], [child.value("a", revision: 2), child.value("a", revision: 1)]
    end
  end

  def test_a_method_that_an_edit_removes_is_gone
    Child.with(FILES) do |child, project|
      project.write("b.step.rb", "def config = {}")
      assert_equal [], child.load("b.step.rb", revision: 2)["exports"]
      assert_equal "b", child.value("b")
    end
  end

  def test_an_edited_helper_asks_for_a_new_process
    Child.with(FILES) do |child, project|
      project.write("lib/greeting.rb", "GREETING = 'good evening'")
      assert_equal({"steps" => ["a"], "restart" => true}, changed(child, project, "lib/greeting.rb"))
      again = Child.new(project)
      again.load("a.step.rb")
      assert_equal ["good evening", 1], again.value("a")
      again.close
    end
  end

  def test_a_helper_that_is_loaded_each_time_needs_no_new_process
    loads = "load File.join(__dir__, 'lib/rate.rb')\n#{step("$rate")}"
    Child.with({"a.step.rb" => loads, "lib/rate.rb" => "$rate = 1"}) do |child, project|
      project.write("lib/rate.rb", "$rate = 2")
      assert_equal({"steps" => ["a"], "restart" => false}, changed(child, project, "lib/rate.rb"))
      child.load("a.step.rb", revision: 2)
      assert_equal 2, child.value("a", revision: 2)
    end
  end

  def test_a_file_that_nobody_requires_reaches_nothing
    Child.with(FILES) do |child, project|
      assert_equal({"steps" => [], "restart" => false}, changed(child, project, "lib/other.rb"))
      assert_equal({"steps" => [], "restart" => false}, changed(child, project, "notes/none.txt"))
    end
  end

  def test_a_gemfile_asks_for_a_new_process
    Child.with(FILES.merge("Gemfile" => "")) do |child, project|
      answer = {"steps" => %w[a b], "restart" => true}
      assert_equal [answer, answer], %w[Gemfile Gemfile.lock].map { |name| changed(child, project, name) }
      watched = child.load("b.step.rb", revision: 2)["watch"]
      assert_equal %w[Gemfile Gemfile.lock b.step.rb].map { |name| project.path(name) }, watched
    end
  end

  def test_a_broken_edit_keeps_the_last_good_revision
    Child.with(FILES) do |child, project|
      project.write("a.step.rb", "def broken(")
      assert_equal "load_failed", child.load("a.step.rb", revision: 2)["code"]
      assert_equal ["hello", 1], child.value("a")
      assert_equal "stale_revision", child.answer(child.event("a", revision: 2))["code"]
      assert_equal ["a"], changed(child, project, "a.step.rb")["steps"]
    end
  end

  def test_a_missing_helper_that_comes_reaches_its_step_without_a_new_process
    Project.with({"a.step.rb" => STEP}) do |project|
      child = Child.new(project)
      assert_equal "LoadError", child.load("a.step.rb")["type"]
      project.write("lib/greeting.rb", "GREETING = 'at last'")
      assert_equal({"steps" => ["a"], "restart" => false}, changed(child, project, "lib/greeting.rb"))
      child.load("a.step.rb")
      assert_equal ["at last", 1], child.value("a")
      child.close
    end
  end

  def test_a_running_handler_finishes_on_the_old_code
    waits = step("[context.state.get('g', 'k'), helper]")
    Child.with({"a.step.rb" => "#{waits}def helper = 'old'"}) do |child, project|
      id = child.event("a")
      call = child.call
      project.write("a.step.rb", "#{waits}def helper = 'new'")
      child.load("a.step.rb", revision: 2)
      assert_nil child.ask("unload", {"step" => "a", "revision" => 1})
      child.reply(call) { json(1) }
      assert_equal [1, "old"], child.decode(child.answer(id))
    end
  end

  def test_unload_takes_one_revision_or_all
    Child.with(FILES) do |child|
      child.load("b.step.rb", revision: 2)
      child.ask("unload", {"step" => "b", "revision" => 1})
      assert_equal "stale_revision", child.answer(child.event("b", revision: 1))["code"]
      assert_equal "b", child.value("b", revision: 2)
      2.times { assert_nil child.ask("unload", {"step" => "b"}) }
      assert_equal "unknown_step", child.answer(child.event("b", revision: 2))["code"]
    end
  end

  def test_paths_through_a_link_are_the_same_files
    Dir.mktmpdir do |folder|
      Project.with(FILES) do |project|
        link = File.join(folder, "link")
        File.symlink(project.root, link)
        child = Child.new(Project.new(link, {}))
        answer = child.load("a.step.rb")
        assert_equal ["#{link}/a.step.rb", "#{link}/lib/greeting.rb"], answer["watch"]
        assert_equal ["a"], child.ask("changed", {"paths" => ["#{link}/lib/greeting.rb"]})["steps"]
        child.close
      end
    end
  end

  private

  def changed(child, project, name) = child.ask("changed", {"paths" => [project.path(name)]})
end
