"""Providers that send our mails: each file verifies and reads the webhooks of one. A new one is a file and a line."""

from recovery.mail.providers.brevo import Brevo
from recovery.mail.providers.mailgun import Mailgun
from recovery.mail.providers.postmark import Postmark
from recovery.mail.providers.provider import Provider
from recovery.mail.providers.resend import Resend
from recovery.mail.providers.sendgrid import SendGrid
from recovery.mail.providers.ses import Ses

PROVIDERS: tuple[Provider, ...] = (Ses(), Postmark(), SendGrid(), Mailgun(), Resend(), Brevo())
"""All providers. The last segment of the path, `/bounces/{name}`, names one."""
