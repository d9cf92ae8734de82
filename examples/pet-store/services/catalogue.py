"""The built-in fake store: what is on the shelf. No network, no database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """Something on the shelf; the price is in cents, so that sums stay exact."""

    id: str
    name: str
    price_cents: int
    stock: int
    species: tuple[str, ...]


SHELF = {
    product.id: product
    for product in (
        Product("tuna-feast", "Tuna feast", 249, 400, ("cat",)),
        Product("catnip-mouse", "Catnip mouse", 599, 0, ("cat",)),
        Product("beef-bites", "Beef bites", 329, 250, ("dog",)),
        Product("squeaky-bone", "Squeaky bone", 899, 40, ("dog",)),
        Product("daphnia-flakes", "Daphnia flakes", 199, 1000, ("fish",)),
        Product("sunflower-mix", "Sunflower mix", 279, 300, ("parrot",)),
    )
}

DISCOUNT_FROM = 10  # pieces
DISCOUNT_PERCENT = 5


class NotAvailable(Exception):
    """The shelf cannot serve this order; the message may be shown to the customer."""


@dataclass(frozen=True)
class Quote:
    """What an order costs, in cents."""

    product_name: str
    unit_cents: int
    discount_cents: int
    total_cents: int


def quote(product_id: str, quantity: int) -> Quote:
    """Price an order; raises NotAvailable when the product is unknown or too few are left."""
    product = SHELF.get(product_id)
    if product is None:
        known = ", ".join(sorted(SHELF))
        raise NotAvailable(f"we do not sell {product_id!r}; we have {known}")
    if not product.stock:
        raise NotAvailable(f"{product.name} is sold out")
    if quantity > product.stock:
        raise NotAvailable(f"only {product.stock} of {product.name} left, {quantity} ordered")
    full = product.price_cents * quantity
    discount = full * DISCOUNT_PERCENT // 100 if quantity >= DISCOUNT_FROM else 0
    return Quote(product.name, product.price_cents, discount, full - discount)


def recommend(species: str) -> list[str]:
    """Ids of what is in stock for a species, cheapest first."""
    fitting = [p for p in SHELF.values() if species in p.species and p.stock > 0]
    return [p.id for p in sorted(fitting, key=lambda p: p.price_cents)]
