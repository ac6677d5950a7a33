"""What a version can be turned into: smaller, faster elsewhere, or unreadable without a key. Each is a job, whose
result is another version of the same model; the one that it was made from stays as it is.

`kinds` says what there is, `orders` begins the jobs and keeps what comes of them, `child` does the work in the sandbox.
"""
