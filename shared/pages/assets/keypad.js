// Large keys for a PIN, for fingers in gloves.
export function start(pad) {
  const pin = document.getElementById('pin')
  pad.onclick = ({ target }) => {
    if (target.tagName !== 'BUTTON' || target.type === 'submit') return
    pin.value = target.value ? pin.value + target.value : pin.value.slice(0, -1)
  }
  pad.hidden = false
  document.querySelector('[data-without-script]').hidden = true
}
