"""The rules: who may be asked, who has answered and who expires; pure functions on plain values."""
