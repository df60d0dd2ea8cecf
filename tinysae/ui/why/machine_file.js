// The machine as a file of its own, which carries what is drawn. Last in the script.

new Machine(document.querySelector("main")).show(
  JSON.parse(document.querySelector("#drawn").textContent));
