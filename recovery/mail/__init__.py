"""The only room that speaks SMTP and templates."""
