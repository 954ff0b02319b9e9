"""`pynormalize`, which is in no package index: MakeItTalk imports it and calls it on paths that no test run takes."""
