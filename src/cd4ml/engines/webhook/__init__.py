"""Webhooks: telling other people's services what the ledger says, signed as Standard Webhooks are.

Source: https://www.standardwebhooks.com (specification 1.0.0).
"""
