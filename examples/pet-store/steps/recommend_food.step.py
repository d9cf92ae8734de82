"""Picks food for a new pet: the short side branch of the flow."""

from services import catalogue

config = {
    "type": "event",
    "name": "RecommendFood",
    "description": "Recommends what is in stock for the species of a new pet",
    "subscribes": ["pet.created"],
    "emits": [],
    "flows": ["pet-store"],
    "input": {"id": "string", "species": "string"},
}


async def handler(pet, context):
    products = catalogue.recommend(pet["species"])

    # An update changes one field in place. Get, change, set would lose what others wrote meanwhile.
    await context["state"].update(
        "pets", pet["id"], [{"op": "set", "path": "recommended", "value": products}]
    )
    context["logger"].info("Food recommended", {"petId": pet["id"], "products": products})
