"""Every entry of the corpus, by name."""
import corpus_chunks
import corpus_framing
import corpus_heads
import corpus_unread

PARTS = (corpus_framing.codings, corpus_framing.lengths, corpus_chunks.chunks, corpus_heads.lines, corpus_heads.fields,
         corpus_heads.versions_1_0, corpus_heads.connections)
ENTRIES = [entry for part in PARTS for entry in part()]
UNREAD = list(corpus_unread.unread())

assert len({entry.name for entry in ENTRIES + UNREAD}) == len(ENTRIES + UNREAD), "two entries of one name"
