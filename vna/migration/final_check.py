"""The final check of a campaign: whether what was verified is in the archive as it is now, and all else explained."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vna.errors import ConfigError
from vna.index.final_checks import CheckedStudy, FinalCheckIndex, Missing
from vna.migration.proof import Rules
from vna.migration.study_work import Tools
from vna.model.campaign import EXCEPTIONAL, Campaign, ItemState, Reason, StudyEnd, Verdict
from vna.model.final_check import FinalCheck, Findings
from vna.model.identifiers import Origin

STUDIES_AT_ONCE = 100

_FINAL = (ItemState.VERIFIED, ItemState.MISMATCHED)


class FinalChecking:
    """One final check; it may be cut off and made again, and goes on where it was."""

    def __init__(
        self,
        checks: FinalCheckIndex,
        tools: Tools,
        campaign: Campaign,
        rules: Rules,
        *,
        threads: int = 4,
        on_progress: Callable[[Findings], None] = lambda _: None,
    ) -> None:
        """`rules`: what objects that are read again are judged by; no frame is decoded anew."""
        self._checks, self._tools = checks, tools
        self._campaign, self._threads = campaign, threads
        self._on_progress, self._should_stop = on_progress, rules.should_stop
        self._rules = replace(rules, settings=replace(rules.settings, decode=False))

    def run(
        self, origin: Origin, *, rereads: bool = False, accepts_exceptions: bool = False
    ) -> FinalCheck | None:
        """Check everything; None when it was stopped. The campaign is finished when the check has passed.

        Raises Unavailable; ConfigError when somebody else checks the same campaign.
        """
        check = self._checks.begin(self._campaign, origin, rereads=rereads)
        if check is None:
            raise _others_check(self._campaign)
        findings, position = check.findings, check.position
        while studies := self._checks.studies(self._campaign, position, STUDIES_AT_ONCE):
            page = copy.deepcopy(findings)
            self._page(studies, page, rereads=rereads)
            if self._should_stop():
                return None
            to = studies[-1].item.study_id
            if not self._checks.went_on(check, position, to, page):
                raise _others_check(self._campaign)
            findings, position = page, to
            self._on_progress(findings)
        is_clean = not findings.faults and not findings.unexplained
        passed = is_clean and (accepts_exceptions or not findings.to_accept)
        passed = self._checks.end(
            self._campaign, check, findings, origin, passed=passed, accepts=accepts_exceptions
        )
        return self._checks.newest(self._campaign)

    def _page(self, studies: Sequence[CheckedStudy], findings: Findings, *, rereads: bool) -> None:
        ids = [study.item.study_id for study in studies]
        verdicts = _judged(self._checks.missing(ids))
        if rereads:
            self._read_again(studies, verdicts, findings)
        if self._should_stop():
            return
        for study in studies:
            wrong = verdicts.get(study.item.study_id)
            if wrong:
                findings.faults += len(wrong)
                self._checks.doubt(study.item.study_id, wrong, _end(wrong))
        self._count(self._checks.studies(self._campaign, ids[0] - 1, len(ids)), findings)
        findings.others += self._checks.others(ids)

    def _count(self, studies: Sequence[CheckedStudy], findings: Findings) -> None:
        """What became of some studies, as the ledger has it after what was found just now."""
        for study in studies:
            if not study.item.found.study_instance_uid:
                continue  # what could not be read is of no study
            findings.studies[study.state] += 1
            findings.gone += study.seen < self._campaign.inventory
            if study.state in EXCEPTIONAL and not study.exceptions:
                findings.study_exceptions[f"{study.state} {study.reason}".strip()] += 1
        self._count_instances([study.item.study_id for study in studies], findings)

    def _count_instances(self, studies: Sequence[int], findings: Findings) -> None:
        for tally in self._checks.tallies(studies):
            findings.instances[tally.state] += tally.count
            findings.sizes[tally.state] += tally.size
            if tally.state in EXCEPTIONAL:
                findings.exceptions[f"{tally.state} {tally.reason}".strip()] += tally.count
            elif tally.state is ItemState.VERIFIED:
                findings.checked += tally.count
            elif tally.study_state in _FINAL:
                findings.unexplained += tally.count
            elif tally.study_state in EXCEPTIONAL:  # it was given up, or left out, as a whole
                findings.exceptions[tally.study_state] += tally.count

    def _read_again(
        self,
        studies: Sequence[CheckedStudy],
        verdicts: defaultdict[int, list[Verdict]],
        findings: Findings,
    ) -> None:
        """Every verified object, but those that are known to be missing."""
        with ThreadPoolExecutor(self._threads) as pool:
            read = pool.map(lambda study: self._prove(study, verdicts), studies)
            for study, found in zip(studies, read, strict=True):
                findings.reread += len(found)
                wrong = [verdict for verdict in found if verdict.state is not ItemState.VERIFIED]
                if wrong:
                    verdicts[study.item.study_id] += wrong

    def _prove(
        self, study: CheckedStudy, verdicts: Mapping[int, Sequence[Verdict]]
    ) -> list[Verdict]:
        known = {verdict.instance_id for verdict in verdicts.get(study.item.study_id, ())}
        items = [
            replace(item, state=ItemState.LANDED)
            for item in self._tools.ledger.instances(study.item)
            if item.state is ItemState.VERIFIED and item.instance_id not in known
        ]
        return self._tools.prover.prove(study.item, items, self._rules)


def _judged(missing: Sequence[Missing]) -> defaultdict[int, list[Verdict]]:
    """By the id of its study what is to be written of each instance that is not there."""
    verdicts: defaultdict[int, list[Verdict]] = defaultdict(list)
    for item in missing:
        reason = Reason.BYTES_DIFFER if item.has_another else Reason.NOT_IN_ARCHIVE
        detail = "it was deleted, and lies in the trash" if item.is_deleted else ""
        verdict = Verdict(item.instance_id, ItemState.MISMATCHED, reason, detail)
        verdicts[item.study_id].append(verdict)
    return verdicts


def _end(wrong: Sequence[Verdict]) -> StudyEnd:
    """How a study stands of which these instances are not verified any more; what is damaged is fetched again."""
    reasons = {verdict.reason for verdict in wrong}
    reason = reasons.pop() if len(reasons) == 1 else Reason.INSTANCES
    is_failed = any(verdict.state is ItemState.FAILED for verdict in wrong)
    state = ItemState.FAILED if is_failed else ItemState.MISMATCHED
    return StudyEnd(state, reason, f"{len(wrong)} instances, found by the final check")


def _others_check(campaign: Campaign) -> ConfigError:
    return ConfigError(
        f"another final check of campaign {campaign.name} is under way: wait for its end"
    )
