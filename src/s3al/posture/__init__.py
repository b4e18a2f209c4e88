"""How buckets, objects and KMS keys are encrypted and guarded, on s3al or any S3: facts, rules, reports.

What lives here: gathering facts through the public APIs, the rules as one table, requirements, and the reports. What
does not: flags and the terminal's progress (commands.posture), the decision on a request (auth), putting a choice in
place (choice_in_place).

Laws: nothing is changed anywhere; what could not be looked at is a finding, never silence; whether a request would be
allowed is asked of the evaluator that decides requests, not of the policy's text.
"""
