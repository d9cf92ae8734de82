# frozen_string_literal: true

require_relative "record"

module StepweaveRunner
  # One file of a form that was uploaded: field, name, type, size, and path where it is on disk, read by
  # text, symbol or method.
  class UploadedFile < Record
    def self.from(given)
      file = new
      %w[field name type size path].each { |name| file[name] = given[name] }
      file.instance_variable_set(:@data, given["data"])
      file
    end

    # What is in it, read from the disk if it is there; gone when the handler has ended.
    def bytes = path ? File.binread(path) : @data

    # Hash has a `size` of its own.
    def size = self["size"]
  end

  # All files in order; `files["avatar"]` is the first one of that field.
  class UploadedFiles < Array
    def [](key, *rest)
      return super unless key.is_a?(String) || key.is_a?(Symbol)

      find { |file| file["field"] == key.to_s }
    end

    # All files of a field.
    def named(field) = select { |file| file["field"] == field.to_s }
  end
end
