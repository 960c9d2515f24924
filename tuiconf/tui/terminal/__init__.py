"""The terminal, to the byte: what it can, the keys it sends, and output to one that is slow, stopped or gone.

How an App uses it::

    from tuiconf.tui.terminal import detect                  # cheap, no Textual: also decides about the plain front end
    from tuiconf.tui.terminal.driver import TerminalDriver
    from tuiconf.tui.terminal.patient import PatientOutput
    from tuiconf.tui.terminal.motion import keep_still
    from tuiconf.tui.terminal.talk import Down, HoldToTalk, Up

    class TuiconfApp(PatientOutput[Outcome]):                 # instead of App[Outcome]
        def __init__(self, …):
            super().__init__(driver_class=TerminalDriver)     # never used by Pilot tests, which are headless
            self.talk = HoldToTalk("toggle" if terminal.multiplexer else "repeat")
            if not motion: keep_still(self)                   # after super().__init__()

        def on_key_releases_known(self, event):               # at the start and after each suspension
            if not self.terminal.multiplexer:
                self.act(self.talk.use("release" if event.supported else "repeat"))
        def on_key_released(self, event):                     # bubbles as keys do; event.key is named as the press was
            if event.key == talk_key: self.act(self.talk.released(now))
        def on_app_blur(self): self.act(self.talk.lost())     # also comes when suspended; and do it when a screen is
                                                              # pushed over or popped, and before exit
        # on the talk key (a press or a repeat, when no input has the focus): self.act(self.talk.key(now))
        # every 100 ms while self.talk.is_down:                               self.act(self.talk.tick(now))
        # act(Down()) calls ptt.down, act(Up(why)) calls ptt.up, act(None) does nothing. An interface that hangs can
        # say nothing: the engine ends it when it is not told for so long that the key is down (`renew_s` of ptt.down).
        # talk.mode and talk.words say what is active, for the status line and the help

        def on_background_known(self, event): …               # event.dark; only if the theme was left to us

The other events come to the App only, never to a widget. `TerminalLost` ends the app with code 129,
SIGTERM ends it with 143, both through `exit`, so that the terminal's mode is restored. SIGHUP is left as it is: it ends
the process, and the engine mutes at once when the connection is gone.

`PatientOutput` drops frames while the terminal is behind and then shows what is current; the App needs to do nothing
for it. `app.repaint()` paints everything, for a key when another program has written over the screen.

`quick.begin()`, called before Textual is imported, saves a sixth of the time until the first paint.
"""

from tuiconf.tui.terminal.detect import Terminal, detect

__all__ = ["Terminal", "detect"]
