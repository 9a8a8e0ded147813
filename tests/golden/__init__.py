"""A golden master of everything that can be seen of the product from outside.

One scripted campaign runs through the commands, the pages, the API and a mail server on loopback.
All that comes out is kept as text in `master/`, and a test compares it with a new run.

When something outside is meant to change: change it, run

    python -m tests.golden.record --write

and look at what `git diff tests/golden/master` shows. Nothing else may have changed.

- `campaign.txt` is the campaign, step by step. A new page or command is added there.
- `script.py` does its steps.
- `system.py` is the only file that imports the product. After a refactoring its imports follow.
- `text.py` makes outputs text that is the same in every run, and says what it leaves out.
- `record.py` runs the script and writes the master.

In the master, `commands.txt` and `routes.txt` tell what the campaign does not use. `digests.txt`
holds a digest of each file with its tokens, so that it changes if other random numbers are drawn;
of the others, those then change that follow the order in which mails leave.
"""
