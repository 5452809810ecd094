"""The mails as templates: their files, words and languages, and the sandbox in which they are filled."""
