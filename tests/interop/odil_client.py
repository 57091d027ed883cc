"""A client made of odil, run by the system's Python: WHAT PORT JSON, its answer in JSON on the standard output.

It knows nothing of the archive's code, and the environment of the archive has no odil.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import odil  # type: ignore[import-not-found]

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
SYNTAXES = [EXPLICIT, IMPLICIT]
CONTEXT = odil.AssociationParameters.PresentationContext
ROOTS = {
    "find": odil.registry.StudyRootQueryRetrieveInformationModelFind,
    "get": odil.registry.StudyRootQueryRetrieveInformationModelGet,
    "move": odil.registry.StudyRootQueryRetrieveInformationModelMove,
}


def associate(port: int, contexts: list[Any], user: dict[str, Any]) -> Any:
    """An association with the archive."""
    association = odil.Association()
    association.set_peer_host("127.0.0.1")
    association.set_peer_port(port)
    association.set_tcp_timeout(120)
    parameters = association.update_parameters()
    parameters.set_calling_ae_title("ODIL").set_called_ae_title("VNA")
    parameters.set_presentation_contexts(contexts)
    if user:
        parameters.set_user_identity_to_username_and_password(user["name"], user["password"])
    association.associate()
    return association


def context(uid: str, role: Any, syntaxes: list[str] = SYNTAXES) -> Any:
    """A presentation context to propose."""
    return CONTEXT(uid, syntaxes, role)


def echo(port: int, request: dict[str, Any]) -> Any:
    """C-ECHO, as often as told."""
    contexts = [context(odil.registry.Verification, CONTEXT.Role.SCU)]
    association = associate(port, contexts, request.get("user", {}))
    scu = odil.EchoSCU(association)
    for _ in range(request.get("times", 1)):
        scu.echo()
    association.release()
    return None


def store(port: int, request: dict[str, Any]) -> Any:
    """C-STORE of files over one association, in the transfer syntax of each."""
    objects, contexts = [], {}
    for path in request["files"]:
        with odil.open(path) as stream:
            meta, dataset = odil.Reader.read_file(stream)
        kind = (first(dataset, "SOPClassUID"), first(meta, "TransferSyntaxUID"))
        contexts[kind] = context(kind[0], CONTEXT.Role.SCU, [kind[1]])
        objects.append(dataset)
    association = associate(port, list(contexts.values()), {})
    scu = odil.StoreSCU(association)
    for dataset in objects:
        scu.set_affected_sop_class(dataset)
        scu.store(dataset)
    association.release()
    return len(objects)


def find(port: int, request: dict[str, Any]) -> Any:
    """C-FIND; the answers in the JSON model of DICOM."""
    association = associate(port, [context(ROOTS["find"], CONTEXT.Role.SCU)], {})
    scu = odil.FindSCU(association)
    scu.set_affected_sop_class(ROOTS["find"])
    answers = [json.loads(odil.as_json(answer)) for answer in scu.find(identifier(request))]
    association.release()
    return answers


def get(port: int, request: dict[str, Any]) -> Any:
    """C-GET; the counters of all responses."""
    contexts = [context(uid, CONTEXT.Role.SCP) for uid in request["classes"]]
    association = associate(port, [context(ROOTS["get"], CONTEXT.Role.SCU), *contexts], {})
    received: list[Any] = []
    responses = perform(odil.GetSCU(association), request, "get", received.append)
    association.release()
    write(received, request["folder"])
    return responses


def move(port: int, request: dict[str, Any]) -> Any:
    """C-MOVE to a destination that runs elsewhere; the counters of all responses."""
    association = associate(port, [context(ROOTS["move"], CONTEXT.Role.SCU)], {})
    scu = odil.MoveSCU(association)
    scu.set_move_destination(request["destination"])
    scu.set_incoming_port(0)
    responses = perform(scu, request, "move", lambda _: None)
    association.release()
    return responses


def perform(scu: Any, request: dict[str, Any], what: str, on_store: Any) -> Any:
    """The counters of all responses to a C-GET or C-MOVE."""
    responses: list[Any] = []
    scu.set_affected_sop_class(ROOTS[what])
    getattr(scu, what)(
        identifier(request), on_store, lambda answer: responses.append(counters(answer))
    )
    return responses


def receive(port: int, request: dict[str, Any]) -> Any:
    """Take one association on `port` and all that is stored over it; who asked for each object."""
    association = odil.Association()
    association.set_tcp_timeout(120)
    association.receive_association("v4", port)
    received: list[Any] = []
    originators: list[Any] = []

    def take(message: Any) -> int:
        received.append(message.get_data_set())
        has_originator = message.has_move_originator_ae_title()
        originators.append(message.get_move_originator_ae_title() if has_originator else "")
        return 0

    scp = odil.StoreSCP(association)
    scp.set_callback(take)
    dispatcher = odil.SCPDispatcher(association)
    dispatcher.set_store_scp(scp)
    try:
        while True:
            dispatcher.dispatch()
    except odil.AssociationReleased:
        write(received, request["folder"])
    return originators


def write(datasets: list[Any], folder: str) -> None:
    """Keep what came, in explicit little endian."""
    for number, dataset in enumerate(datasets):
        with odil.open(f"{folder}/{number}.dcm", "wb") as stream:
            odil.Writer.write_file(dataset, stream)


def counters(answer: Any) -> dict[str, int]:
    """The status and the sub-operations of a response, those that it has."""
    said = {"status": answer.get_status()}
    for name in ("remaining", "completed", "failed", "warning"):
        if getattr(answer, f"has_number_of_{name}_sub_operations")():
            said[name] = getattr(answer, f"get_number_of_{name}_sub_operations")()
    return said


def identifier(request: dict[str, Any]) -> Any:
    """The keys of a request; one without values is to be returned."""
    dataset = odil.DataSet()
    for keyword, values in request["keys"].items():
        dataset.add(keyword, values) if values else dataset.add(keyword)
    return dataset


def first(dataset: Any, keyword: str) -> str:
    """The first value of an element."""
    value: bytes = dataset.as_string(keyword)[0]
    return value.decode("ascii")


WORK = {"echo": echo, "store": store, "find": find, "get": get, "move": move, "receive": receive}

if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](int(sys.argv[2]), json.loads(sys.argv[3]))))
