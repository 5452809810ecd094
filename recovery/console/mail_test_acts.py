"""Test mails: a mail with the sample, sent to a test recipient of the settings. Nothing is recorded of it."""

from fastapi import Request, Response
from pydantic import ValidationError

from recovery.console.desk import Desk
from recovery.console.forms import Form
from recovery.console.mail_paths import ROUTE, asked_for, language, sample_of
from recovery.console.mail_tests import NotATestRecipient
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.viewer import Viewer
from recovery.domain.checkout import Customer
from recovery.domain.outcome import OutcomeKind
from recovery.http.problems import Problem

ACT = f"{ROUTE}/test"
TOKEN = "/mails/test"  # noqa: S105 - the name of the act


class TestMailActs:
    """The act that sends a test mail. If the relay refuses it, a page says what the relay said."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        routes.act(ACT, self.send)

    async def send(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask | Response:
        """Send the mail to the address of the form."""
        mail, to = asked_for(self._desk, request, viewer), form.one("to")
        if self._desk.tests is None:
            raise Problem(503, "No test mails can be sent here.")
        try:
            Customer(email=to or "")
            self._desk.tests.check(mail.shop, to or "")
        except ValidationError:
            raise Problem(422, "to: is not an e-mail address: write one, such as you@example.com.") from None
        except NotATestRecipient as exc:
            raise Problem(422, str(exc)) from exc
        assert to is not None  # noqa: S101 - else it is no address
        what = f"{mail.step.name} in {language(mail.locale)}"
        if not is_sure(form):
            return Ask(
                f"Send 1 test mail, {what}, to {to}?",
                "Send it",
                mail.path,
                (("to", to),),
                (
                    f"It goes out through {self._desk.sending.of_shop(mail.shop).relay}, with sample data; its subject"
                    " begins with [test].",
                    "Nothing is recorded of it, and no customer gets it.",
                ),
                grave=False,
            )
        outcome = await self._desk.tests.send(mail.shop, mail.step, sample_of(mail), to)
        if outcome.kind is not OutcomeKind.SENT:
            why = f"The mail was not accepted ({outcome.kind}): {outcome.reply}"
            return self._routes.rendering.page(
                request,
                viewer,
                "not-possible.html",
                status=409,
                why=why,
                back=mail.path,
                back_to="Back to the mail",
                current="mails",
            )
        return Done(f"Sent {what} to {to}. The relay replied: {outcome.reply}", mail.path)
