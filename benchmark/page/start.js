// Everything begins here: what Python left in the page, then the tables, then the clips.
const data = JSON.parse(document.getElementById("data").textContent);
startTables();
startClips();
