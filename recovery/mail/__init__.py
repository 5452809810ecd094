"""Mails: templates, composition, DKIM, links, bounces and SMTP. The only room that speaks SMTP and templates."""
