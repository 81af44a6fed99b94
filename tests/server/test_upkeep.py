from pipeline.engines.scripted import ScriptedRecogniser
from pipeline.engines.silero import SileroModel
from server.engines import live_options
from server.settings import load_settings
from server.upkeep import REST_S, upkeep


def test_hearing_a_stream_is_measured_and_what_else_it_takes_is_added() -> None:
    taken = upkeep(live_options(load_settings(), ScriptedRecogniser()), SileroModel())
    assert REST_S < taken < 1
