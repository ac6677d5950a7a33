"""What of the CUDA device can be seen without one: which device is opened, and the way of tensors on the processor."""

from __future__ import annotations

import numpy as np
import pytest

from aimass_stream.errors import Unavailable
from aimass_stream.inference import CpuDevice
from aimass_stream.inference.cuda import CudaDevice, Way, open_device
from aimass_stream.server import create_app
from tests.support.options import settings

torch = pytest.importorskip("torch")
blind = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a CUDA device")


@blind
def test_without_a_card_auto_is_the_processor_and_a_card_is_refused() -> None:
    device = open_device("auto")
    assert device.describe()["kind"] == "cpu"
    device.close()
    with pytest.raises(Unavailable, match="no CUDA device 1: 0 were found"):
        open_device("cuda:1")
    with pytest.raises(Unavailable, match="no CUDA device 0"):
        CudaDevice()


def test_on_the_processor_tensors_share_the_memory_of_arrays() -> None:
    device = CpuDevice(threads=1)
    way = Way(device, torch)
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with torch.inference_mode(), way.computing():
        assert torch.get_num_threads() == 1
        sent = way.send(values)
        [made] = way.fetch([sent * 2])()
    assert sent.data_ptr() == values.ctypes.data
    np.testing.assert_array_equal(made, values * 2)
    way.settle()
    values.flags.writeable = False
    assert way.send(values[:, ::-1]).tolist() == values[:, ::-1].tolist()
    device.close()


def test_a_server_does_not_start_without_the_card_that_its_settings_name() -> None:
    with pytest.raises(Unavailable, match="no CUDA device 7"):
        create_app(settings(device="cuda:7"))
    with pytest.raises(ValueError, match="device"):
        settings(device="tpu")
