"""Campaigns: messages from one template or lineage, found by what they share.

A message has *keys*: each registered domain of its URLs, the SHA-256 of each attachment, and the near-duplicate keys of
its text (`messages.signature`).  Two messages that hold the same *joining* key are in one campaign, and so is whatever
these are joined to in turn: a campaign is a connected component.  Which keys join is a function of all messages
together (`joining.py`), never of the order in which they came.  A message that shares no joining key is in no campaign.

In: rows of `model.columns.FACTS`.  Out: rows of `MEMBERSHIP`, and a summary of each campaign.  Deliberately absent:
who sent it (hosts never join), and what the campaign is for.

`reference.py` is the definition, in a screenful: read it first.  `index.py` gives the same rows, grows by batches,
and is the one to use.
"""

from whimbrel.analysis.campaigns.index import CampaignIndex, Changes
from whimbrel.analysis.campaigns.naming import campaign_name, resolve
from whimbrel.analysis.campaigns.reference import cluster_all
from whimbrel.analysis.campaigns.summary import CAMPAIGNS, summarise

__all__ = ["CAMPAIGNS", "CampaignIndex", "Changes", "campaign_name", "cluster_all", "resolve", "summarise"]
