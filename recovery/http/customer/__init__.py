"""The pages behind the links in mails to customers: unsubscribe, and return to the checkout."""
