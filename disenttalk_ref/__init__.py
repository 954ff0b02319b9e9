"""The reference implementation of DisentTalk."""
