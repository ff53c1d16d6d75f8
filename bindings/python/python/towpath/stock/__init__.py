"""The stock steps: what a pipeline is made of before anybody writes a step of their own.

Their code is in Rust, and the same for both languages: what a plan stores of them is what Rust stores. What each does
in every case is in the book, under *stock steps*.
"""

from towpath.stock._approval import Approval
from towpath.stock._command import Command, CommandOutput, ExitCodes
from towpath.stock._http import Checked, HttpCall, HttpCheck, HttpProbe, HttpReply, HttpRequest
from towpath.stock._notify import Notify
from towpath.stock._wait import Wait, WaitEnd

__all__ = [
    "Approval",
    "Checked",
    "Command",
    "CommandOutput",
    "ExitCodes",
    "HttpCall",
    "HttpCheck",
    "HttpProbe",
    "HttpReply",
    "HttpRequest",
    "Notify",
    "Wait",
    "WaitEnd",
]
