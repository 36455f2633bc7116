"""Losses against their definition by index lists, and edge cases that the definition does not cover."""

import torch
import torch.nn.functional as F

from pysot.models.loss import cls_loss, loc_loss, siamrpn_loss


def cls_loss_by_index(cls, label):
    flat = cls.reshape(cls.shape[0], 2, -1, *cls.shape[2:]).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    label = label.reshape(-1)
    sides = [F.cross_entropy(flat[label == value], label[label == value]) for value in (1, 0) if (label == value).any()]
    return 0.5 * sum(sides)


def test_no_labels_give_zero_and_gradients():
    cls = torch.randn(2, 4, 3, 3, requires_grad=True)
    loss = cls_loss(cls, -torch.ones(2, 2, 3, 3, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0 and cls.grad.abs().sum() == 0


def test_a_single_positive_counts():
    label = -torch.ones(2, 2, 3, 3, dtype=torch.long)
    label[1, 1, 2, 0] = 1
    cls = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(cls_loss(cls, label), cls_loss_by_index(cls, label))
    assert cls_loss(cls, label) > 0


def test_cls_equals_the_definition():
    cls, label = torch.randn(3, 10, 5, 5), torch.randint(-1, 2, (3, 5, 5, 5))
    torch.testing.assert_close(cls_loss(cls, label), cls_loss_by_index(cls, label))


def test_half_precision_outputs_are_summed_in_float():
    assert cls_loss(torch.randn(1, 2, 2, 2).half(), torch.zeros(1, 1, 2, 2, dtype=torch.long)).dtype == torch.float32


def test_loc_is_a_weighted_sum_per_image():
    loc, target, weight = torch.zeros(2, 8, 3, 3), torch.zeros(2, 4, 2, 3, 3), torch.zeros(2, 2, 3, 3)
    target[0, :, 1, 2, 2] = torch.tensor([1.0, -2.0, 3.0, -4.0])
    weight[0, 1, 2, 2] = 0.5
    assert loc_loss(loc, target, weight).item() == 10 * 0.5 / 2


def test_total_is_the_weighted_sum():
    output = {"cls": torch.randn(1, 4, 3, 3), "loc": torch.randn(1, 8, 3, 3)}
    target = {
        "label_cls": torch.randint(-1, 2, (1, 2, 3, 3)),
        "label_loc": torch.randn(1, 4, 2, 3, 3),
        "label_loc_weight": torch.rand(1, 2, 3, 3),
    }
    losses = siamrpn_loss(output, target, cls_weight=2.0, loc_weight=3.0)
    torch.testing.assert_close(losses["total_loss"], 2 * losses["cls_loss"] + 3 * losses["loc_loss"])
