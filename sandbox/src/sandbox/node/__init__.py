"""The machine's half of a simulated server: its user data is read, its files are written, its own boot script runs.

What runs is the very script that a real server would run, as an unprivileged process tree with a folder of its own as
its root, real bash, real curl and real core utilities. What would change a real computer or needs the network (see
`stand_ins.STAND_INS`) hands its arguments to this process instead, where a light cluster takes the place of k3s.
"""

from sandbox.node.machines import SimulatedMachines, build_machines
from sandbox.node.scenario import BootFault, BootScenario
from sandbox.node.settings import NodeSettings
from sandbox.node.stand_ins import CLOCKS, STAND_INS

__all__ = ["CLOCKS", "STAND_INS", "BootFault", "BootScenario", "NodeSettings", "SimulatedMachines", "build_machines"]
