"""What networks are to say: the same quantities as the sums that truths are made of."""

import torch

from picasssso.networks.buck_wolf import MAPS, maps_to_properties
from picasssso.networks.outputs import OUTPUT_NAMES
from picasssso.pairs.truth import SUMS, TrueSums
from picasssso.properties import PROPERTIES


def some_sums():
    return 10.0 ** torch.empty(2, 9, 3, 4).uniform_(
        3, 8, generator=torch.Generator().manual_seed(1)
    )


def test_networks_and_truths_agree_on_the_properties():
    properties = TrueSums(some_sums()).properties()
    assert tuple(properties) == tuple(PROPERTIES) == OUTPUT_NAMES


def test_maps_of_the_papers_network_are_the_first_sums():
    assert MAPS == SUMS[: len(MAPS)]
    sums = some_sums()
    expected = TrueSums(sums).properties()
    found = maps_to_properties(torch.log10(sums[:, :7]))
    assert set(found) == set(expected) - {"attenuation_v"}
    for name, values in found.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-5, atol=0.0)
