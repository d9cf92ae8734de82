# frozen_string_literal: true

require "erb"

# What the customer gets to read:
# 1. a subject and a message for each way an order can go,
# 2. a receipt as plain text,
# 3. addresses and sums in the form in which they may be shown.
module Receipt
  MESSAGES = {
    "fulfilled" => ["Your order is on its way", "%{pet} will be pleased: %{what} left us as %{tracking}."],
    "rejected" => ["We could not take your order", "We are sorry, and so is %{pet}: %{reason}."],
    "late" => ["Your order is late", "%{what} for %{pet} should have left by %{ship_by}. We are on it."]
  }.freeze

  TEXT = ERB.new(<<~'RECEIPT', trim_mode: "-")
    PET STORE                     <%= order["placedAt"][0, 10] %>
    ----------------------------------------
    <%= row("#{order["quantity"]} x #{order["productName"]}", money(full(order))) %>
    <%- if order["discountCents"].positive? -%>
    <%= row("Discount", money(-order["discountCents"])) %>
    <%- end -%>
    ----------------------------------------
    <%= row("Total", money(order["totalCents"])) %>

    For <%= order["petName"] %>, shipped as <%= order["tracking"] %>
  RECEIPT

  module_function

  # Subject and message for an order as it stands; any state that is not settled counts as late.
  def message(order)
    subject, text = MESSAGES.fetch(order["status"], MESSAGES["late"])
    facts = {
      pet: order["petName"],
      what: "#{order["quantity"]} x #{order["productName"] || order["product"]}",
      tracking: order["tracking"],
      reason: order["reason"],
      ship_by: order["shipBy"]
    }
    [subject, format(text, facts)]
  end

  # The receipt of a fulfilled order, forty characters wide.
  def text(order)
    TEXT.result(binding)
  end

  # What the order would cost without a discount, in cents.
  def full(order)
    order["unitCents"] * order["quantity"]
  end

  # "ann@example.com" as "an*@example.com": logs are read by more people than letters are.
  def mask(email)
    email.sub(/\A(..?)([^@]*)@/) { "#{$1}#{"*" * $2.length}@" }
  end

  def money(cents)
    format("%<sign>s%<units>d.%<cents>02d", sign: cents.negative? ? "-" : "", units: cents.abs / 100, cents: cents.abs % 100)
  end

  def row(label, amount)
    label.ljust(30) + amount.rjust(10)
  end
end
