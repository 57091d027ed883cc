"""Give images without what tells whose they are."""

from __future__ import annotations

from hashlib import blake2b

from vna.dicom.deidentified import VERSION, deidentified
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from vna.errors import Unsupported
from vna.model.instances import StoredInstance
from vna.services.decoders import Decoding
from vna.services.delivery import DeliveryService


class AnonymizingService:
    """Makes new objects of stored ones, in a decoder process; `max_bytes` bounds one."""

    def __init__(
        self, delivery: DeliveryService, decoders: Decoding, max_bytes: int, secret: bytes
    ) -> None:
        """Without the `secret` nobody finds out which UID stands for which."""
        self._delivery, self._decoders, self._max_bytes = delivery, decoders, max_bytes
        self._secret = secret
        self.version = f"{VERSION}-{blake2b(secret, digest_size=8).hexdigest()}"
        """The same where the same becomes of the same image."""

    def file(self, instance: StoredInstance) -> bytes:
        """The image as a DICOM file in explicit VR little endian.

        Raises Unsupported where that can't be done safely or at all, Corrupt, Unavailable, and what
        Decoding.call raises.
        """
        opened = self._delivery.open(instance, EXPLICIT_VR_LITTLE_ENDIAN)
        pieces, size = [], 0
        try:
            for chunk in opened.chunks:
                pieces.append(bytes(chunk))
                size += len(chunk)
                if size > self._max_bytes:
                    raise Unsupported(
                        f"instance {instance.uids.sop_instance_uid} has more bytes than "
                        "archive.max_transcode_bytes allows to anonymize"
                    )
        finally:
            opened.chunks.close()
        return self._decoders.call(deidentified, b"".join(pieces), self._secret)
