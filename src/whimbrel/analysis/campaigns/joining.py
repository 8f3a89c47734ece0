"""Which keys join the messages that hold them: a rule on four numbers, the same for the reference and the index.

A key joins when at least two messages hold it, when it is not ham's, and when its holders are like each other.  The
numbers are sums over all holders, whatever their order; so whether a key joins is a function of the set of messages.

*Unlike* is measured without labels.  A *shape* is one header skeleton with one MIME skeleton, hence about one mail
program with one form of message; a *text* is the first key of the signature.  A campaign is written by few programs
(and then may have many texts: one seller's daily offers) or has few texts (and may have many shapes: forged headers).
What everyone points to comes in many of both.  So the smaller of the two counts is what must stay small.
"""

import numpy as np
from numpy.typing import NDArray

# One in a hundred: a lone ham message among few always stops a key, while a large campaign survives the mislabelled
# copy that any large corpus has.
HAM_SHARE_MAX = 0.01
# Measured on the keys of 1,896 spam and 2,637 phishing messages that eight or more hold (docs/campaigns.md):
# campaigns' own domains lie at 1 to 11 (11 of 73 at most), image hosts, fonts, mail services and brands at 10 to 157.
UNLIKE_MAX = 5
UNLIKE_SHARE_MAX = 0.02


def joins(
    holders: NDArray[np.int64], ham: NDArray[np.int64], shapes: NDArray[np.int64], texts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell for each key whether it joins.

    Given are how many messages hold it, how many of them are labelled ham, and how many distinct shapes and texts
    they have.
    """
    not_hams = ham <= HAM_SHARE_MAX * holders
    alike = np.minimum(shapes, texts) <= UNLIKE_MAX + UNLIKE_SHARE_MAX * holders
    return (holders > 1) & not_hams & alike
