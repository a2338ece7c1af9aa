// The storefront's script: cart, zones by AJAX, and the steps of the checkout.
const at = selector => document.querySelector(selector);
const ask = (route, data) => fetch('index.php?route=' + route, data ? { method: 'POST', body: data } : {}).then(answer => answer.json());
const radios = (name, methods) => methods.map(m => `<label><input type="radio" name="${name}" value="${m.code}"> ${m.name}</label>`).join('');
const data = (...boxes) => {
  const form = new FormData();
  boxes.forEach(box => box.querySelectorAll('input, select').forEach(e => { if (e.type !== 'radio' || e.checked) form.append(e.name, e.value); }));
  return form;
};
const say = answer => { if (answer.error) { at('#alert').innerHTML = '<div class="alert alert-danger">' + Object.values(answer.error).join(' ') + '</div>'; } return !answer.error; };

if (at('#button-cart')) {
  at('#button-cart').onclick = async () => {
    const answer = await ask(window.twinAdd || 'checkout/cart.add', data(at('#product')));
    if (say(answer)) at('#alert').innerHTML = `<div class="alert alert-success">${answer.success}</div>`;
  };
}

function twinCheckout(generation) {
  const prefix = generation === 4 ? '#input-shipping-' : '#input-payment-';
  at(prefix + 'country').onchange = async event => {
    const answer = await ask('localisation/country&country_id=' + event.target.value);
    at(prefix + 'zone').innerHTML = answer.zone.map(z => `<option value="${z.zone_id}">${z.name}</option>`).join('');
  };
  const confirm = async () => { location = (await ask('checkout/confirm.order', new FormData())).redirect; };
  at('#button-confirm').onclick = confirm;
  if (generation === 4) {
    at('#button-register').onclick = async () => {
      if (say(await ask('checkout/register.save', data(at('#form-register'))))) at('#alert').innerHTML = '<div class="alert alert-success">Your address is saved</div>';
    };
    const choose = (button, route, name, done) => {
      at(button).onclick = async () => {
        at('#modal').innerHTML = radios(name, (await ask(route)).methods) + `<button type="button" id="button-${name.replace('_', '-')}">Continue</button>`;
        at(`#button-${name.replace('_', '-')}`).onclick = () => {
          const picked = at(`input[name=${name}]:checked`);
          if (!picked) return;
          at(`#input-${name.replace('_', '-')}`).value = picked.parentNode.textContent.trim();
          at('#modal').innerHTML = '';
          done();
        };
      };
    };
    choose('#button-shipping-methods', 'checkout/shipping_method.quote', 'shipping_method', () => {});
    choose('#button-payment-methods', 'checkout/payment_method.getMethods', 'payment_method', () => { at('#button-confirm').disabled = false; });
    return;
  }
  const show = id => { at(id).hidden = false; };
  at('#button-account').onclick = () => show('#collapse-payment-address');
  at('#button-guest').onclick = async () => {
    if (!say(await ask('checkout/guest/save', data(at('#collapse-payment-address'))))) return;
    const box = at('#collapse-shipping-method');
    box.innerHTML = radios('shipping_method', (await ask('checkout/shipping_method.quote')).methods) + '<button type="button" id="button-shipping-method">Continue</button>';
    box.querySelector('input').checked = true;
    at('#button-shipping-method').onclick = async () => {
      const pay = at('#collapse-payment-method');
      pay.innerHTML = radios('payment_method', (await ask('checkout/payment_method.getMethods')).methods) + at('#agree').innerHTML + '<button type="button" id="button-payment-method">Continue</button>';
      pay.querySelector('input').checked = true;
      at('#button-payment-method').onclick = () => { if (at('input[name=agree]').checked) show('#collapse-checkout-confirm'); };
      show('#collapse-payment-method');
    };
    show('#collapse-shipping-method');
  };
}
