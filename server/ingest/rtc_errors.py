"""What can be wrong with a WebRTC offer, and with what comes after it. The docstring is the default message."""

from pipeline.errors import AuscultError


class RtcError(AuscultError):
    """The WebRTC connection cannot be made."""

    code = "webrtc_error"


class SdpInvalid(RtcError):
    """The body is no SDP offer: send what `RTCPeerConnection.createOffer()` gives, as application/sdp."""

    code = "sdp_invalid"


class SdpTooLarge(RtcError):
    """The SDP is larger than this server takes: offer fewer codecs and candidates."""

    code = "sdp_too_large"


class NoAudio(RtcError):
    """The offer has no audio to send: add an audio track whose direction is sendonly or sendrecv."""

    code = "no_audio"


class VideoOnly(NoAudio):
    """The offer has video only: add an audio track."""

    code = "video_only"


class NoCommonCodec(RtcError):
    """The offer has no codec in common with this server: offer Opus (opus/48000/2) for audio."""

    code = "no_common_codec"


class TooManyTracks(RtcError):
    """The offer has too many audio tracks."""

    code = "too_many_tracks"


class FragmentInvalid(RtcError):
    """The body is no SDP fragment with candidates: send application/trickle-ice-sdpfrag (RFC 8840)."""

    code = "sdpfrag_invalid"


class IceRestartUnsupported(RtcError):
    """ICE restarts are not supported: end this session and make a new one, which continues the same encounter."""

    code = "ice_restart_unsupported"


class NoPort(RtcError):
    """No UDP port is free for another connection: try again later, or widen webrtc.port_min to webrtc.port_max."""

    code = "no_udp_port"
    retryable = True


class AudioLost(RtcError):
    """The connection ended at a gap: go on over /api/live with this encounter_id and role, from its heard_ms on."""

    code = "audio_lost"


class ChannelGone(RtcError):
    """The data channel is not open."""

    code = "data_channel_gone"
