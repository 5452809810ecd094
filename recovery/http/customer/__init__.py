"""The pages that customers reach by the links in their mails."""
