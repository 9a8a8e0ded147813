# Goes to /etc/dovecot/repermit.sieve; then `sievec /etc/dovecot/repermit.sieve` compiles it.
# "bounce" is what the envelope senders of repermit's mails begin with; "news" stands for the
# address that people write back to: the email of [organisation], or of the list's sender without
# one, news@example.org. Every message stays in its mailbox too.
require ["vnd.dovecot.pipe", "copy", "envelope", "subaddress"];

if envelope :user "to" ["bounce", "news"] {
  pipe :copy "repermit-bounce";
}
