"""What a clip is: shots, speech, faces and the square around one."""
