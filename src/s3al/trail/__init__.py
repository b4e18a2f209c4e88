"""The audit trail: who did what with which key, written before the answer, chained, sealed, signed."""
