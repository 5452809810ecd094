"""Templates of the mails: files, words, locales, the Jinja sandbox, and the lint.

Who holds whom:

    Templates        one per shop: reloads the files when they change      (templates.py)
    └── Edition      compiled mails of one reading of the files            (templates.py)
        ├── Files    the shop's files before the package's, per locale     (files.py)
        ├── Sources  their text, with styles inlined into HTML             (sandbox.py, inlining.py)
        ├── Words    `words.toml`, per chain of locales                    (words.py)
        └── Sandbox  a Jinja environment for one mail in one language      (sandbox.py, bounds.py)
"""
