"""What lies in a data folder, byte by byte, and whether it is what it should be: the proof behind `s3al prove DIR`.

What lives here: reading a store, stopped or beside a running server, authenticating everything that its keys open,
naming by path whatever is damaged or unexplained, and signing what came of it. What does not: repairing (offline.check
removes garbage), printing (commands.prove).

Laws: nothing is changed but locks and what SQLite does to its log when it opens and closes; findings name paths and
ids, never object keys; no plaintext is kept longer than its segment's check. What only a customer's key opens, or a KMS
key that is destroyed, is counted apart: its lengths and its look are checked, and nothing is claimed of its bytes.
"""

from s3al.prove.proof import SEEN, Progress, Proof, Seen
from s3al.prove.proving import prove

__all__ = ["SEEN", "Progress", "Proof", "Seen", "prove"]
