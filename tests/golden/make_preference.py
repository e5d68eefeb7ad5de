"""Writes preference.json: preference losses, their gradients and figures on small batches, at double precision.

Where TRL has the loss, TRL computes it: its own `_compute_loss` (for simpo `cpo_loss`) is called with a stand-in for the
model that answers given log-probabilities. The others are written out in numpy below, from the formulas of their papers,
with central differences for gradients. Needs `pip install trl torch numpy` (made with TRL 1.16.0, PyTorch 2.15.0). The
values are committed; run this only to change the cases:

    python tests/golden/make_preference.py > tests/golden/preference.json
"""

import json
import sys
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import torch
import trl
from trl.experimental.cpo import CPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer

rng = np.random.default_rng(20250604)
LENGTH = 3
PROMPT = 2


# ---- batches: groups of (chosen token rows, [(rejected token row, weight)]) and log-probabilities per answer


def pairs_of_one():
    """Four groups of one pair, all of weight 1; some share a prefix."""
    groups = [
        ([[5, 9, 12]], [([5, 9, 13], 1.0)]),
        ([[4, 8, 12]], [([6, 8, 12], 1.0)]),
        ([[4, 8, 13]], [([4, 10, 13], 1.0)]),
        ([[7, 11, 15]], [([4, 8, 12], 1.0)]),
    ]
    return groups, *scores(groups)


def lists():
    """Groups of several sizes and weights, one with two chosen answers."""
    groups = [
        ([[5, 9, 12]], [([5, 9, 13], 1.0), ([6, 9, 12], 0.5), ([5, 10, 14], 1.0)]),
        ([[4, 8, 12], [4, 8, 13]], [([4, 8, 14], 0.5), ([7, 8, 12], 1.0)]),
        ([[6, 10, 15]], [([6, 11, 15], 0.25)]),
    ]
    return groups, *scores(groups)




def scores(groups):
    """Token log-probabilities of the policy, and of whole answers under the reference."""
    n = sum(len(chosen) + len(rejected) for chosen, rejected in groups)
    policy = -rng.gamma(1.5, 1.0, size=(n, LENGTH))
    reference = policy.sum(1) + rng.normal(0.0, 3.0, size=n)
    return np.round(policy, 6), np.round(reference, 6)


PAIRS = pairs_of_one()
LISTS = lists()


# ---- TRL


class Recorder:
    """What `_compute_loss` reads of a trainer."""

    def __init__(self, loss_types, loss_weights, beta, label_smoothing):
        self.model = SimpleNamespace(training=False)
        self.accelerator = SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)
        self.loss_types, self.loss_weights = loss_types, loss_weights
        self.beta, self.label_smoothing = beta, label_smoothing
        self.f_divergence_type, self.ld_alpha = "reverse_kl", None
        self.precompute_ref_logps, self.use_weighting, self.aux_loss_enabled = True, False, False
        self._metrics = {"eval": defaultdict(list), "train": defaultdict(list)}
        self._total_train_tokens, self._tp_size = 0, 1


def interleave(chosen, rejected):
    """Chosen and rejected rows in the order of groups of one pair."""
    return np.stack([chosen, rejected], 1).reshape((-1, *chosen.shape[1:]))


def by_trl(loss_types, loss_weights, beta, label_smoothing=0.0):
    """Mean loss, gradient of the summed loss and figures of the batch PAIRS."""
    _, policy, reference = PAIRS
    n = len(policy) // 2
    tokens = torch.tensor(np.concatenate([policy[0::2], policy[1::2]]), requires_grad=True)
    padded = torch.cat([torch.zeros(2 * n, PROMPT - 1, dtype=torch.float64), tokens], 1)
    zeros = torch.zeros_like(padded)
    outputs = SimpleNamespace(
        log_probs=padded, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(), log_sum_sq_probs=zeros
    )
    mask = torch.cat([torch.zeros(2 * n, PROMPT), torch.ones(2 * n, LENGTH)], 1).long()
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": torch.tensor(reference[0::2]),
        "ref_rejected_logps": torch.tensor(reference[1::2]),
    }
    trainer = Recorder(loss_types, loss_weights, beta, label_smoothing)
    loss = DPOTrainer._compute_loss(trainer, lambda **_: outputs, inputs, False)
    loss.backward()
    gradient = tokens.grad.numpy() * n
    figures = {
        name: float(np.mean(values))
        for name, values in trainer._metrics["eval"].items()
        if name.startswith(("rewards/", "logps/"))
    }
    return float(loss.item()), interleave(gradient[:n], gradient[n:]), figures


def simpo_by_trl(beta, gamma, label_smoothing):
    _, policy, _ = PAIRS
    n = len(policy) // 2
    tokens = torch.tensor(np.concatenate([policy[0::2], policy[1::2]]), requires_grad=True)
    trainer = SimpleNamespace(
        alpha=0.0, loss_type="simpo", simpo_gamma=gamma, beta=beta, label_smoothing=label_smoothing,
        accelerator=SimpleNamespace(device="cpu"),
    )
    means = tokens.mean(1)
    losses, chosen, rejected = CPOTrainer.cpo_loss(trainer, means[:n], means[n:])
    losses.sum().backward()
    gradient = tokens.grad.numpy()
    figures = {
        "rewards/chosen": chosen.mean().item(),
        "rewards/rejected": rejected.mean().item(),
        "rewards/margins": (chosen - rejected).mean().item(),
        "rewards/accuracies": (chosen > rejected).double().mean().item(),
    }
    return losses.mean().item(), interleave(gradient[:n], gradient[n:]), figures


# ---- by hand


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def shared(a, b):
    n = 0
    while n < len(a) and a[n] == b[n]:
        n += 1
    return n


def by_hand(batch, term, *, reference_free=False, list_wise=False, weight=None, anchor=0.0, dpo_positive=0.0, detach=False):
    """Loss divided by its weight, and gradient of the summed loss.

    `term(chosen score, [rejected scores], [weights])` is the loss of one comparison (or pair, with lists of one).
    """
    groups, policy, reference = batch

    def total(tokens):
        """`tokens` against the frozen values `policy`: detached parts read the latter."""
        summed, weights, row = 0.0, 0.0, 0
        for chosen, rejected in groups:
            for position, winner in enumerate(chosen):
                w = row + position
                base = 0.0 if reference_free else reference[w]
                score = tokens[w].sum() - base
                score -= dpo_positive * max(0.0, -score)
                losers = []
                for offset, (loser, _) in enumerate(rejected):
                    l = row + len(chosen) + offset
                    cut = shared(winner, loser) if detach else 0
                    value = policy[l][:cut].sum() + tokens[l][cut:].sum()
                    losers.append(value - (0.0 if reference_free else reference[l]))
                omegas = [omega for _, omega in rejected]
                supervised = anchor * -tokens[w].sum() / LENGTH
                if list_wise:
                    own = 1.0 if weight is None else weight(omegas)
                    summed += own * (term(score, np.array(losers), np.array(omegas)) + supervised)
                    weights += own
                else:
                    for value, omega in zip(losers, omegas):
                        summed += omega * (term(score, np.array([value]), np.array([omega])) + supervised)
                        weights += omega
            row += len(chosen) + len(rejected)
        return summed, weights

    value, weights = total(policy)
    gradient = np.zeros_like(policy)
    step = 1e-5
    for index in np.ndindex(*policy.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = policy.copy()
            moved[index] += sign * step
            ends.append(total(moved)[0])
        gradient[index] = (ends[0] - ends[1]) / (2.0 * step)
    return float(value / weights), gradient, {}


def sigmoid_pair(beta):
    return lambda w, l, _: -log_sigmoid(beta * (w - l[0]))


def cdpo_pair(beta, eps):
    return lambda w, l, _: -(1 - eps) * log_sigmoid(beta * (w - l[0])) - eps * log_sigmoid(-beta * (w - l[0]))


def s_dpo_list(beta):
    """-log s(-log sum omega exp(beta (l - w)))"""
    return lambda w, l, omega: -log_sigmoid(-np.log(np.sum(omega * np.exp(beta * (l - w)))))


def dmpo_list(beta):
    return lambda w, l, omega: -log_sigmoid(beta * w - beta * np.sum(omega * l) / np.sum(omega))


def rad_list(beta):
    """-log of the chosen answer's share of the softmax"""
    return lambda w, l, omega: -np.log(np.exp(beta * w) / (np.exp(beta * w) + np.sum(omega * np.exp(beta * l))))


def mean(omegas):
    return float(np.mean(omegas))


cases = []


def add(name, source, settings, batch, result):
    groups, policy, reference = batch
    loss, gradient, figures = result
    cases.append({
        "name": name,
        "source": source,
        "settings": settings,
        "groups": [
            {"chosen": chosen, "rejected": [{"tokens": tokens, "weight": weight} for tokens, weight in rejected]}
            for chosen, rejected in groups
        ],
        "policy": policy.tolist(),
        "reference": reference.tolist(),
        "loss": loss,
        "gradient": np.round(gradient, 12).tolist(),
        "figures": figures,
    })


TRL = f"TRL {trl.__version__}"
NUMPY = "numpy"

add("dpo", TRL, {"loss": "dpo", "beta": 0.3, "anchor": 0.0}, PAIRS, by_trl(["sigmoid"], [1.0], 0.3))
add("dpo with anchor", TRL, {"loss": "dpo", "beta": 0.3, "anchor": 0.25}, PAIRS, by_trl(["sigmoid", "sft"], [1.0, 0.25], 0.3))
add("ipo", TRL, {"loss": "ipo", "beta": 0.2, "anchor": 0.0}, PAIRS, by_trl(["ipo"], [1.0], 0.2))
add("hinge", TRL, {"loss": "hinge", "beta": 1.5, "anchor": 0.0}, PAIRS, by_trl(["hinge"], [1.0], 1.5))
for eps in (0.0, 0.1, 0.3):
    add(f"robust {eps}", TRL, {"loss": "robust", "beta": 0.3, "anchor": 0.0, "label_smoothing": eps}, PAIRS,
        by_trl(["robust"], [1.0], 0.3, eps))
for eps in (0.0, 0.15):
    add(f"simpo {eps}", TRL, {"loss": "simpo", "beta": 2.0, "gamma": 0.8, "anchor": 0.0, "label_smoothing": eps}, PAIRS,
        simpo_by_trl(2.0, 0.8, eps))
for eps in (0.1, 0.5):
    add(f"cdpo {eps}", NUMPY, {"loss": "cdpo", "beta": 0.3, "anchor": 0.0, "label_smoothing": eps}, LISTS,
        by_hand(LISTS, cdpo_pair(0.3, eps)))
add("dpo of groups, weighted", NUMPY, {"loss": "dpo", "beta": 0.5, "anchor": 0.1}, LISTS,
    by_hand(LISTS, sigmoid_pair(0.5), anchor=0.1))
add("dpo-positive", NUMPY, {"loss": "dpo", "beta": 0.5, "anchor": 0.0, "dpo_positive": 5.0}, LISTS,
    by_hand(LISTS, sigmoid_pair(0.5), dpo_positive=5.0))
add("dpo with detached prefixes", NUMPY, {"loss": "dpo", "beta": 0.5, "anchor": 0.0, "detach_prefix": True}, LISTS,
    by_hand(LISTS, sigmoid_pair(0.5), detach=True))
add("s-dpo", NUMPY, {"loss": "s-dpo", "beta": 0.7, "anchor": 0.0}, LISTS, by_hand(LISTS, s_dpo_list(0.7), list_wise=True))
add("s-dpo of one negative is TRL's dpo", TRL, {"loss": "s-dpo", "beta": 0.3, "anchor": 0.0}, PAIRS,
    by_trl(["sigmoid"], [1.0], 0.3))
add("s-dpo, positive and anchored", NUMPY, {"loss": "s-dpo", "beta": 0.7, "anchor": 0.3, "dpo_positive": 2.0}, LISTS,
    by_hand(LISTS, s_dpo_list(0.7), list_wise=True, anchor=0.3, dpo_positive=2.0))
add("dmpo", NUMPY, {"loss": "dmpo", "beta": 0.7, "anchor": 0.0}, LISTS,
    by_hand(LISTS, dmpo_list(0.7), list_wise=True, weight=mean))
add("dmpo of one negative is TRL's dpo", TRL, {"loss": "dmpo", "beta": 0.3, "anchor": 0.0}, PAIRS,
    by_trl(["sigmoid"], [1.0], 0.3))
add("rad-dpo", NUMPY, {"loss": "rad-dpo", "beta": 1.2, "anchor": 0.5}, LISTS,
    by_hand(LISTS, rad_list(1.2), list_wise=True, reference_free=True, anchor=0.5, detach=True))
add("rad-dpo without detaching", NUMPY, {"loss": "rad-dpo", "beta": 1.2, "anchor": 0.0, "detach_prefix": False}, LISTS,
    by_hand(LISTS, rad_list(1.2), list_wise=True, reference_free=True))

json.dump(cases, sys.stdout, indent=None, separators=(",", ":"))
sys.stdout.write("\n")
