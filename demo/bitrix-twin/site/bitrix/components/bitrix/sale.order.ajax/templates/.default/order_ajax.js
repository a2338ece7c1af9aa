// The form shows itself when its script has run; one section is open at a time; everything goes by ajax.
const form = document.getElementById('bx-soa-order-form');
const box = document.querySelector('#bx-soa-main-notifications .alert-danger');
const ask = action => {
  const data = new FormData(form);
  data.append('soa-action', action);
  return fetch(form.action, { method: 'POST', body: data }).then(answer => answer.json()).then(said => said.order);
};
for (const link of document.querySelectorAll('.bx-soa-editstep')) {
  link.onclick = () => {
    document.querySelectorAll('.bx-soa-section').forEach(section => section.classList.remove('bx-selected'));
    link.closest('.bx-soa-section').classList.add('bx-selected');
  };
}
for (const field of document.querySelectorAll('[name=DELIVERY_ID]')) {
  field.onchange = () => ask('refreshOrderAjax').then(order => { document.querySelector('#bx-soa-total .bx-soa-cart-d').textContent = order.TOTAL; });
}
document.querySelector('#bx-soa-orderSave a').onclick = () => ask('saveOrderAjax').then(order => {
  if (order.REDIRECT_URL) { location = order.REDIRECT_URL; return; }
  box.textContent = Object.values(order.ERROR).flat().join('; ');
  box.style.display = 'block';
});
document.getElementById('bx-soa-order').style.opacity = 1;
