"""Bodies of Saleor's webhooks, with exactly what the subscription query of the adapter asks for."""

import base64


def id_of(kind, uuid):
    """Return a global id as Saleor makes it."""
    return base64.b64encode(f"{kind}:{uuid}".encode()).decode()


CHECKOUT_ID = id_of("Checkout", "0952cb5e-36db-4a49-8a7c-f024a63f573c")
ORDER_ID = id_of("Order", "57b50a40-c4fb-4b43-b188-3bafde1770d9")
ADA = {"firstName": "Ada", "lastName": "Lovelace"}


def checkout(**changes):
    """Return the event of a checkout with these changes."""
    return {
        "checkout": {
            "id": CHECKOUT_ID,
            "email": "ada@example.com",
            "updatedAt": "2026-03-01T12:05:00.123456+00:00",
            "languageCode": "DE",
            "consent": None,
            "billingAddress": ADA,
            "shippingAddress": None,
            "lines": [
                {
                    "quantity": 2,
                    "unitPrice": {"gross": {"amount": 19.9}},
                    "variant": {
                        "name": "Red",
                        "sku": "L-1",
                        "product": {
                            "name": "Lamp",
                            "thumbnail": {"url": "https://lamps.saleor.cloud/thumbnail/UHJv/256/"},
                        },
                    },
                }
            ],
            "shippingPrice": {"gross": {"amount": 4.9}},
            "voucherCode": "SPRING",
            "totalPrice": {"gross": {"amount": 44.7, "currency": "EUR"}},
            **changes,
        }
    }


def order(**changes):
    """Return the event of an order with these changes."""
    return {
        "order": {
            "id": ORDER_ID,
            "checkoutId": CHECKOUT_ID,
            "created": "2026-03-01T13:00:00+00:00",
            "status": "UNFULFILLED",
            "origin": "CHECKOUT",
            "isPaid": True,
            "userEmail": "ada@example.com",
            "languageCodeEnum": "DE",
            "billingAddress": ADA,
            "shippingAddress": ADA,
            "lines": [
                {
                    "quantity": 2,
                    "productName": "Lamp",
                    "productSku": "L-1",
                    "translatedProductName": "Lampe",
                    "variantName": "Red",
                    "translatedVariantName": "",
                    "thumbnail": {"url": "https://lamps.saleor.cloud/thumbnail/UHJv/256/"},
                    "unitPrice": {"gross": {"amount": 19.9}},
                }
            ],
            "redirectUrl": "https://lamps.example/orders/1",
            "shippingPrice": {"gross": {"amount": 4.9}},
            "voucherCode": "SPRING",
            "total": {"gross": {"amount": 44.7, "currency": "EUR"}},
            **changes,
        }
    }
