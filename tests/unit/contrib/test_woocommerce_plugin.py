"""The plug-in for WooCommerce: what it reports, when, and that it never stands in the customer's way."""

import json
import re
import subprocess
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from recovery.domain.checkout import Checkout, Order
from tests.support.wordpress import CART, FORM, LINE, OPTIONS, PLUGIN, SET_UP, TYPED, php, requests

TICKED = {**TYPED, "with": [f"{FORM}&recovery_consent=1"]}
CHANGED = {"does": "woocommerce_add_to_cart", "ends": True}
NEW_TO_PHP_7 = r"\bmatch\s*\(|\?->|\bstr_(contains|starts_with|ends_with)\(|\breadonly\b|\benum\b|\bfn\s*\(.*\bthrow\b"


def bodies(result, path="/checkout"):
    """Return the bodies of the requests to a path, read as the API reads them."""
    model = {"/checkout": Checkout, "/order": Order}[path]
    sent = [each for each in result["sent"] if each["address"].endswith(path)]
    return [model.model_validate_json(each["body"]) for each in sent]


def token(result):
    """Return the content of the link in the first report."""
    (address,) = {report.checkout_url for report in bodies(result)[:1]}
    return parse_qs(urlsplit(address).query)["recovery"][0]


def test_the_file_is_sound_and_needs_no_newer_php():
    """PHP parses it, and it has nothing that only PHP 8 knows."""
    checked = subprocess.run([php(), "-l", PLUGIN], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
    assert re.findall(NEW_TO_PHP_7, PLUGIN.read_text()) == []


def test_a_typed_address_is_reported_with_the_cart():
    """The API takes the report as it is: names in plain text, prices as they are paid, a key of the plug-in's own."""
    result = requests(SET_UP, CART, TYPED)
    (sent,) = result["sent"]
    assert (sent["address"], sent["method"]) == ("https://recovery.example/checkout", "POST")
    assert sent["headers"] == {"Authorization": "Bearer k-1234567890", "Content-Type": "application/json"}
    (report,) = bodies(result)
    assert re.fullmatch("woo-[0-9a-f]{32}", report.order_id)
    assert (report.shop, report.customer.email, report.customer.name) == (
        "lamps.example",
        "zoe@example.com",
        "Zoë Brontë",
    )
    (item,) = report.items
    assert item.model_dump(mode="json") == {
        "name": "Stehleuchte „Mond“",
        "variant": "Messing",
        "price": "20.00",
        "quantity": 2,
        "url": "https://lamps.example/mond/",
        "image_url": "https://lamps.example/44.jpg",
        "sku": None,
    }
    assert (report.shipping, report.discount_code) == (None, None)
    assert (report.total, report.currency, report.locale) == (Decimal("40.00"), "EUR", "de-DE")
    assert report.touched_at is not None


def test_shipping_coupons_and_stock_numbers_are_reported():
    """Shipping is with tax, as the prices are, and told once it is chosen; the coupons are those that were entered."""
    cart = {**CART, "with": [{**LINE, "product": {**LINE["product"], "sku": "ST-01-MS"}}]}
    coupons = {"does": "coupons", "with": ["SUMMER", "b &amp; c"]}
    (report,) = bodies(requests(SET_UP, cart, {"does": "shipping", "with": 10}, coupons, TYPED))
    assert (report.shipping, report.discount_code) == (Decimal("11.90"), "SUMMER, b & c")
    assert [item.sku for item in report.items] == ["ST-01-MS"]


@pytest.mark.parametrize(
    "hook",
    [
        "woocommerce_store_api_cart_update_customer_from_request",
        "woocommerce_store_api_checkout_update_customer_from_request",
    ],
)
def test_an_address_in_the_checkout_of_blocks_is_reported(hook):
    """The block tells the server while it is typed in, and again when the order is placed."""
    person = {"email": "zoe@example.com", "first_name": "Zoë", "last_name": "Brontë"}
    (report,) = bodies(requests(SET_UP, CART, {"does": "blocks", "hook": hook, "with": person, "ends": True}))
    assert (report.customer.email, report.customer.name, report.consent) == ("zoe@example.com", "Zoë Brontë", None)


def test_nothing_is_sent_before_the_settings_are_filled_in():
    """A plug-in that was only activated does nothing."""
    for missing in OPTIONS:
        half = {"does": "options", "with": {**OPTIONS, missing: ""}}
        assert requests(half, CART, TYPED)["sent"] == []


@pytest.mark.parametrize(
    "form", ["", "billing_email=", "billing_email=zoe", "billing_email[]=zoe@example.com", None, 7]
)
def test_without_an_address_there_is_nothing_to_report(form):
    """The customer may yet type one."""
    assert requests(SET_UP, CART, {**TYPED, "with": [form]})["sent"] == []


def test_the_same_is_sent_once():
    """The classic checkout asks for new totals with each field; only what changed is reported, under the same key."""
    more = {"does": "cart", "with": [{**LINE, "quantity": 3}]}
    reports = bodies(requests(SET_UP, CART, TYPED, TYPED, CHANGED, more, CHANGED, CHANGED))
    assert [report.items[0].quantity for report in reports] == [2, 3]
    assert len({report.order_id for report in reports}) == 1


def test_pages_without_a_customer_report_nothing():
    """In the admin and in background jobs there is no session and no cart."""
    assert requests(SET_UP, {"does": "no customer"}, TYPED, CHANGED)["sent"] == []


def test_an_emptied_cart_ends_its_checkout_and_the_next_is_another():
    """Nobody is reminded of what they took out; what they put in later has a key of its own."""
    empty = {"does": "cart", "with": []}
    removed = {"does": "woocommerce_cart_item_removed", "ends": True}
    result = requests(SET_UP, CART, TYPED, empty, removed, removed, CART, CHANGED, TYPED)
    assert [each["method"] for each in result["sent"]] == ["POST", "DELETE", "POST"]
    first, second = (report.order_id for report in bodies(result))
    assert result["sent"][1]["address"] == f"https://recovery.example/checkouts/lamps.example/{first}"
    assert first != second


@pytest.mark.parametrize("ticked", [True, False])
def test_consent_is_what_the_box_says(ticked):
    """Ticked it is a yes with its words; left alone it is neither yes nor no."""
    (report,) = bodies(requests(SET_UP, CART, TICKED if ticked else TYPED))
    assert report.consent.given is (True if ticked else None)
    assert report.consent.basis == "opt-in"
    assert report.consent.source.endswith("E-mail me a reminder if I leave my order unfinished.")


def test_a_box_that_is_unticked_again_takes_the_yes_back():
    """With the time at which it changed, which is that of the first report that says so."""
    reports = bodies(requests(SET_UP, CART, TICKED, {"does": "cart", "with": [{**LINE, "quantity": 3}]}, TICKED, TYPED))
    assert [report.consent.given for report in reports] == [True, True, None]
    assert reports[0].consent.at == reports[1].consent.at <= reports[2].consent.at


def test_the_box_of_the_checkout_of_blocks_counts_the_same():
    """WooCommerce tells of it when it stores the field, or with the whole form."""
    hook = "woocommerce_store_api_checkout_update_customer_from_request"
    person = {"email": "zoe@example.com"}
    stored = {"does": "woocommerce_set_additional_field_value", "with": ["recovery/consent", True]}
    other = {"does": "woocommerce_set_additional_field_value", "with": ["shop/newsletter", True]}
    blocks = {"does": "blocks", "hook": hook, "with": person, "ends": True}
    whole = {**blocks, "request": {"additional_fields": {"recovery/consent": True}}}
    for steps, given in (([stored, blocks], True), ([whole], True), ([other, blocks], None)):
        (report,) = bodies(requests(SET_UP, CART, *steps))
        assert (report.consent and report.consent.given) == given


def test_the_box_is_offered_and_not_ticked():
    """In both checkouts, with the shop's own words; once ticked it stays so for this checkout."""
    words = {"does": "options", "with": {"recovery_consent_text": "Remind <me>"}}
    fields = {"does": "filter", "hook": "woocommerce_checkout_fields", "with": [{"billing": {}}]}
    result = requests(SET_UP, words, CART, {"does": "woocommerce_init"}, fields, TICKED, fields)
    (field,) = result["fields"]
    assert (field["id"], field["type"], field["required"], field["label"]) == (
        "recovery/consent",
        "checkbox",
        False,
        "Remind <me>",
    )
    boxes = [each["billing"]["recovery_consent"] for each in result["results"]]
    assert [(box["label"], box["required"], box["default"]) for box in boxes] == [
        ("Remind &lt;me&gt;", False, 0),
        ("Remind &lt;me&gt;", False, 1),
    ]


def test_a_shop_may_ask_nothing():
    """Without words there is no box, and reports say nothing of consent."""
    none = {"does": "options", "with": {"recovery_consent_text": ""}}
    fields = {"does": "filter", "hook": "woocommerce_checkout_fields", "with": [{"billing": {}}]}
    result = requests(SET_UP, none, {"does": "woocommerce_init"}, fields, CART, TICKED)
    assert (result["fields"], result["results"]) == ([], [{"billing": []}])
    assert bodies(result)[0].consent is None


def test_a_typed_address_is_told_at_once():
    """The classic checkout tells of postal addresses alone; a line of script has it tell of this one."""
    script = requests({"does": "wp_enqueue_scripts"})["scripts"]["wc-checkout"]
    assert "#billing_email" in script
    assert "update_checkout" in script


def test_the_link_puts_the_cart_back():
    """On another device: the lines with their variants, the coupons, and the key, which an order there carries."""
    left = requests(SET_UP, CART, {"does": "coupons", "with": ["SUMMER"]}, TYPED)
    there = requests(SET_UP, {"does": "follow", "with": token(left)})
    assert there["added"] == [[90, 2, 91, {"attribute_pa_farbe": "messing"}]]
    assert there["coupons"] == ["SUMMER"]
    assert there["session"]["recovery_checkout"] == bodies(left)[0].order_id
    assert there["redirected"] == "https://lamps.example/kasse/"


def test_the_link_adds_nothing_twice_and_takes_nothing_out():
    """Where the cart is still there it stays as it is, with what was put in since."""
    other = {**LINE, "product_id": 7, "variation_id": 0, "variation": []}
    left = requests(SET_UP, CART, TYPED)
    same = requests(SET_UP, CART, {"does": "follow", "with": token(left)})
    assert (same["added"], same["redirected"]) == ([], "https://lamps.example/kasse/")
    more = requests(SET_UP, {"does": "cart", "with": [other]}, {"does": "follow", "with": token(left)})
    assert [line[0] for line in more["added"]] == [90]
    assert "recovery_checkout" not in more["session"], "it is a checkout of its own"


def test_an_old_link_begins_a_new_checkout_after_the_order():
    """What is left under a key that was ordered would never be reminded of."""
    left = requests(SET_UP, CART, TYPED)
    paid = {"does": "set", "with": {"paid": [bodies(left)[0].order_id]}}
    there = requests(SET_UP, paid, {"does": "follow", "with": token(left)})
    assert there["added"] != []
    assert "recovery_checkout" not in there["session"]


def test_a_link_that_is_not_ours_changes_nothing():
    """One character more, less or other, no signature, or no text at all."""
    good = token(requests(SET_UP, CART, TYPED))
    content, signature = good.split(".")
    other = signature.replace(signature[0], "A" if signature[0] != "A" else "B", 1)
    for bad in (content, f"{content}.", f"{content}.{other}", f"x{good}", f"{good}x", "", ".", ["a"], "a.b.c"):
        there = requests(SET_UP, {"does": "follow", "with": bad})
        assert (there["added"], there["redirected"], there["log"]) == ([], None, [])


def test_a_link_says_nothing_of_the_customer_and_fits_a_mail():
    """Of a cart that no link can hold, the first lines are put back."""
    long = [{**LINE, "product_id": 1000 + number} for number in range(60)]
    left = requests(SET_UP, {"does": "cart", "with": long}, TYPED)
    (report,) = bodies(left)
    assert len(report.items) == 60
    assert len(report.checkout_url) <= 2048
    added = requests(SET_UP, {"does": "follow", "with": token(left)})["added"]
    assert [line[0] for line in added] == [1000 + number for number in range(len(added))]
    assert len(added) > 10
    assert "zoe" not in json.dumps(added)


@pytest.mark.parametrize(
    "hook", ["woocommerce_checkout_create_order", "woocommerce_store_api_checkout_update_order_meta"]
)
def test_an_order_carries_the_key_of_its_checkout(hook):
    """Its webhooks then tell of the same checkout, in the customer's language."""
    result = requests(SET_UP, CART, TYPED, {"does": "order", "with": {}}, {"does": "with order", "hook": hook})
    assert result["order"]["meta"] == {"_recovery_checkout": bodies(result)[0].order_id, "_recovery_locale": "de-DE"}
    assert result["order"]["saved"] == ("store_api" in hook)


@pytest.mark.parametrize(
    ("status", "reported"),
    [("processing", 1), ("completed", 1), ("on-hold", 1), ("pending", 0), ("failed", 0), ("cancelled", 0)],
)
def test_a_placed_order_is_reported_at_once(status, reported):
    """Also from the payment provider's own request, in which there is no customer; WooCommerce confirms it."""
    order = {"does": "order", "with": {"_recovery_checkout": "woo-7f3a"}}
    change = {
        "does": "with order",
        "hook": "woocommerce_order_status_changed",
        "with": [7, "pending", status],
        "ends": True,
    }
    orders = bodies(requests(SET_UP, {"does": "no customer"}, order, change), "/order")
    assert [(each.shop, each.order_id, each.confirm) for each in orders] == [
        ("lamps.example", "woo-7f3a", False)
    ] * reported
    unknown = {"does": "order", "with": {}}
    assert requests(SET_UP, unknown, change)["sent"] == []


@pytest.mark.parametrize(("status", "reports"), [("cancelled", 2), ("failed", 1)])
def test_a_payment_that_is_called_off_leaves_the_cart(status, reports):
    """WooCommerce cancels the order, and so ends its checkout for good; what is left in the cart is another one."""
    placed = [{"does": "order", "with": {}}, {"does": "with order", "hook": "woocommerce_checkout_create_order"}]
    change = {
        "does": "with order",
        "hook": "woocommerce_order_status_changed",
        "with": [7, "pending", status],
        "ends": True,
    }
    found = bodies(requests(SET_UP, CART, TICKED, *placed, change, TYPED))
    assert len({each.order_id for each in found[:reports]}) == reports
    assert all(each.consent.given and each.customer.email == "zoe@example.com" for each in found[:reports])
    other = requests(SET_UP, CART, TYPED, {"does": "order", "with": {"_recovery_checkout": "woo-7f3a"}}, change)
    assert len(other["sent"]) == 1


@pytest.mark.parametrize(("number", "reported"), [(7, 1), (8, 0)])
def test_an_order_is_found_by_its_number(number, reported):
    """Some plug-ins fire WooCommerce's hook without the order; and an order may be gone."""
    change = {"does": "woocommerce_order_status_changed", "with": [number, "pending", "processing"], "ends": True}
    result = requests(SET_UP, change)
    assert [each.order_id for each in bodies(result, "/order")] == ["woo-7f3a"] * reported
    assert result["log"] == []


def test_after_an_order_the_next_checkout_is_another():
    """Its key, its address and its box are forgotten with the cart."""
    emptied = {"does": "woocommerce_cart_emptied"}
    result = requests(SET_UP, CART, TICKED, emptied, {"does": "cart", "with": []}, CHANGED, CART, CHANGED, TYPED)
    first, second = bodies(result)
    assert [each["method"] for each in result["sent"]] == ["POST", "POST"]
    assert first.order_id != second.order_id
    assert second.consent.given is None


@pytest.mark.parametrize("fpm", [True, False])
def test_the_customer_never_waits(fpm):
    """What is sent is sent behind the answer; where the server cannot do that, for a second and without a reply."""
    (sent,) = requests(SET_UP, CART, TYPED, fpm=fpm)["sent"]
    assert (sent["finished"], sent["blocking"], sent["timeout"]) == ((1, True, 5) if fpm else (0, False, 1))
    assert sent["redirection"] == 0


@pytest.mark.parametrize("answer", [None, 500, 503, 429])
def test_what_cannot_be_delivered_is_sent_again(answer):
    """In the background, later and later, at most five times; the scheduler's own log names nobody."""
    down = {"does": "set", "with": {"answer": answer}}
    result = requests(SET_UP, down, CART, TYPED)
    (planned,) = result["scheduled"]
    assert (planned["in"], planned["hook"]) == (60, "recovery_send_again")
    assert "zoe" not in json.dumps(planned)
    kept = {name: value for name, value in result["transients"].items() if name.startswith("recovery_again_")}
    assert list(kept) == [f"recovery_again_{planned['arguments'][0]}"]


def test_sending_again_ends():
    """When it was delivered, or when it is of no use any more: then the log says so."""
    down, up = ({"does": "set", "with": {"answer": answer}} for answer in (503, 202))
    tries = [{"does": "recovery_send_again", "with": ["@last"]}] * 6
    lost = requests(SET_UP, down, CART, TYPED, *tries)
    assert [each["in"] for each in lost["scheduled"]] == [60, 300, 1800, 7200, 43200]
    assert lost["log"] == ["POST /checkout was given up: Recovery could not be reached"]
    late = requests(SET_UP, down, CART, TYPED, up, *tries)
    assert len(late["sent"]) == 2
    assert late["sent"][0]["body"] == late["sent"][1]["body"]
    assert [name for name in late["transients"] if "again" in name] == []


def test_an_unreachable_daemon_is_left_alone_for_a_minute():
    """Not even one request waits for it meanwhile: all reports go to the background at once."""
    down = {"does": "set", "with": {"answer": None}}
    more = {"does": "cart", "with": [{**LINE, "quantity": 3}]}
    result = requests(SET_UP, down, CART, TYPED, more, TYPED)
    assert (len(result["sent"]), len(result["scheduled"])) == (1, 2)


@pytest.mark.parametrize("answer", [401, 403, 422])
def test_a_refusal_is_logged_and_not_repeated(answer):
    """With what to compare, and without anybody's data."""
    result = requests(SET_UP, {"does": "set", "with": {"answer": answer}}, CART, TYPED)
    assert (len(result["sent"]), result["scheduled"]) == (1, [])
    assert result["log"] == [f"POST /checkout was refused with {answer}: compare the address, the key and its scopes"]


@pytest.mark.parametrize("fault", [{"breaks": True}, {"answer": "exception"}])
def test_no_exception_reaches_the_shop(fault):
    """Whatever is thrown is logged by its kind and place: its message may name a person."""
    result = requests(SET_UP, {"does": "set", "with": fault}, CART, TYPED)
    assert len(result["log"]) == 1
    assert "RuntimeException in line" in result["log"][0]
    assert "ada@" not in result["log"][0]


@pytest.mark.parametrize(
    ("given", "family", "locale", "name"),
    [
        ("花子", "佐藤", "ja", "佐藤 花子"),
        ("小明", "王", "zh_CN", "王小明"),
        ("민수", "김", "ko_KR", "김민수"),
        ("Zoë", "", "de", "Zoë"),
    ],
)
def test_a_family_name_is_first_where_it_is_written_first(given, family, locale, name):
    """By the script, as the daemon has it for other platforms."""
    person = {"email": "a@example.com", "first_name": given, "last_name": family}
    hook = "woocommerce_store_api_cart_update_customer_from_request"
    steps = [
        {"does": "set", "with": {"locale": locale}},
        {"does": "blocks", "hook": hook, "with": person, "ends": True},
    ]
    assert bodies(requests(SET_UP, CART, *steps))[0].customer.name == name


@pytest.mark.parametrize(
    ("changes", "quantity", "price"),
    [({"quantity": 2.5}, 1, "40.00"), ({"quantity": 3}, 3, "13.33"), ({"quantity": 1, "line_tax": 0}, 1, "33.61")],
)
def test_a_price_is_what_is_paid_for_a_piece(changes, quantity, price):
    """A length of cloth is one line of its whole price."""
    (report,) = bodies(requests(SET_UP, {"does": "cart", "with": [{**LINE, **changes}]}, TYPED))
    assert (report.items[0].quantity, str(report.items[0].price)) == (quantity, price)


def test_the_settings_are_a_section_of_woocommerce():
    """Others' sections and settings stay as they are; the key is not shown."""
    sections = {"does": "filter", "hook": "woocommerce_get_sections_advanced", "with": [{"": "Pages"}]}
    settings = {"does": "filter", "hook": "woocommerce_get_settings_advanced", "with": [["others"], "recovery"]}
    others = {**settings, "with": [["others"], "keys"]}
    result = requests(sections, settings, others)["results"]
    assert result[0] == {"": "Pages", "recovery": "Recovery"}
    assert {each["id"]: each["type"] for each in result[1]}["recovery_key"] == "password"
    assert result[2] == ["others"]
